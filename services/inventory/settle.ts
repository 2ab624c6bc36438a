// What the end of orders does to their reservations: paid -> commit, cancelled -> release,
// refunded -> restock. Many orders in one transaction: all their SKU rows are locked in id order
// once, then their reservations by id. Runs inside the caller's transaction, which also holds the
// inbox rows of the events.
import { type Queryable, sql, type Transaction } from "../../mixins/database/database.ts";
import type { MovementKind } from "../contracts/inventory.ts";
import { must } from "../kernel/assert.ts";
import {
  type Reservation,
  type ReservationLine,
  type ReservationStatus,
  settle,
  type SettlementAction,
  type SettlementMove,
} from "./domain/reservation.ts";
import { BOOKINGS, type Stock, type StockBook, type StockDelta } from "./domain/stock.ts";
import {
  endHeld,
  insertTombstones,
  lockStatuses,
  readReservations,
} from "./reservation.repository.ts";
import { lockStock, writeBook } from "./stock.repository.ts";

export interface Settlement {
  readonly orderId: string;
  readonly action: SettlementAction;
  /** The order's lines as its event tells them; its own for orders out of a flash sale. */
  readonly lines: readonly ReservationLine[];
  /** Out of a flash sale: its units were allotted, there is no reservation. */
  readonly isFlash: boolean;
}

/** A reservation appeared between the plain read and the locks; the transaction must begin anew. */
export class ReservationAppeared extends Error {}

const BOOKED = sql(
  "inventory.movements.booked",
  `SELECT DISTINCT cause_id, kind FROM stock_movements
   WHERE cause_type = 'order' AND cause_id IN (?) AND kind IN ('commit', 'restock')`,
);

const ENDS_AS = { commit: "committed", release: "released" } as const;

/**
 * Applies each settlement once, in order; what was done before is left alone.
 * Errors: ORDER_ILLEGAL_TRANSITION when an order's reservation contradicts it (nothing is written).
 * @throws ReservationAppeared
 */
export async function settleOrders(
  tx: Transaction,
  settlements: readonly Settlement[],
): Promise<readonly Stock[]> {
  const ordinary = [...new Set(settlements.filter((s) => !s.isFlash).map((s) => s.orderId))];
  const reservations = await readReservations(tx, ordinary);
  const book = await lockStock(tx, skusOf(settlements, reservations));
  const statuses = await lockStatuses(tx, ordinary);
  for (const orderId of statuses.keys()) {
    if (!reservations.has(orderId)) throw new ReservationAppeared(orderId);
  }
  const state: SettleState = {
    book,
    reservations,
    statuses,
    booked: await readBooked(tx, settlements),
    ended: { committed: [], released: [] },
    tombstones: [],
  };
  for (const settlement of settlements) settleOne(state, settlement);
  await insertTombstones(tx, state.tombstones);
  await endHeld(tx, "committed", state.ended.committed);
  await endHeld(tx, "released", state.ended.released);
  return await writeBook(tx, book);
}

interface SettleState {
  readonly book: StockBook;
  readonly reservations: ReadonlyMap<string, Reservation>;
  /** As locked, then as decided so far. */
  readonly statuses: Map<string, ReservationStatus>;
  /** `<order id> <kind>` of commits and restocks in the ledger. */
  readonly booked: Set<string>;
  readonly ended: Record<"committed" | "released", string[]>;
  readonly tombstones: string[];
}

function settleOne(state: SettleState, settlement: Settlement): void {
  const { orderId, action, isFlash } = settlement;
  if (state.booked.has(`${orderId} ${action}`)) return;
  const move: SettlementMove = isFlash ? "book" : settle(action, state.statuses.get(orderId));
  if (move === "tombstone") {
    state.tombstones.push(orderId);
    state.statuses.set(orderId, "released");
  }
  if (move !== "book") return;
  for (const line of linesOf(state, settlement)) bookLine(state.book, settlement, line);
  if (action !== "release") state.booked.add(`${orderId} ${action}`);
  if (!isFlash) endReservation(state, orderId, action);
}

function linesOf(state: SettleState, settlement: Settlement): readonly ReservationLine[] {
  if (settlement.isFlash) return settlement.lines;
  return must(state.reservations.get(settlement.orderId), "the reservation to book").lines;
}

function endReservation(state: SettleState, orderId: string, action: SettlementAction): void {
  if (action === "restock") return;
  const status = ENDS_AS[action];
  state.ended[status].push(orderId);
  state.statuses.set(orderId, status);
}

function bookLine(book: StockBook, settlement: Settlement, line: ReservationLine): void {
  const { orderId, action } = settlement;
  book.book({
    skuId: line.skuId,
    kind: action satisfies MovementKind,
    delta: deltaOf(settlement, line.quantity),
    causeType: "order",
    causeId: orderId,
    reason: null,
  });
}

function deltaOf({ action, isFlash }: Settlement, quantity: number): StockDelta {
  if (action === "commit" && isFlash) return BOOKINGS.commitAllotted(quantity);
  if (action === "commit") return BOOKINGS.commitReserved(quantity);
  return BOOKINGS[action](quantity);
}

function skusOf(
  settlements: readonly Settlement[],
  reservations: ReadonlyMap<string, Reservation>,
): Set<string> {
  const skuIds = new Set<string>();
  for (const { lines } of reservations.values()) for (const { skuId } of lines) skuIds.add(skuId);
  for (const { isFlash, lines } of settlements) {
    if (isFlash) for (const { skuId } of lines) skuIds.add(skuId);
  }
  return skuIds;
}

/** Read under the stock locks, so that nobody can book one of them in between. */
async function readBooked(
  database: Queryable,
  settlements: readonly Settlement[],
): Promise<Set<string>> {
  const orderIds = settlements
    .filter(({ action, isFlash }) => action === "restock" || (action === "commit" && isFlash))
    .map(({ orderId }) => orderId);
  if (orderIds.length === 0) return new Set();
  const rows = await database.rows<{ cause_id: string; kind: string }>(BOOKED, [orderIds]);
  return new Set(rows.map(({ cause_id, kind }) => `${cause_id} ${kind}`));
}
