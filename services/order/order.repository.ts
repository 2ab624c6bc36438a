// The door to orders: whoever changes one locks it, decides, and writes the row, its history and
// its events in one transaction. Locks are taken by id.
import {
  type Database,
  type Queryable,
  sql,
  type Statement,
  type Transaction,
} from "../../mixins/database/database.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { NewEvent } from "../contracts/events.ts";
import { assert, must } from "../kernel/assert.ts";
import {
  isShown,
  type Order,
  type OrderDecision,
  type Status,
  type Transition,
} from "./domain/order.ts";
import {
  actorText,
  byNumericId,
  type ItemRow,
  lineOf,
  ORDER_COLUMNS,
  orderOf,
  type OrderRow,
  orderValues,
} from "./order.rows.ts";

/** Orders of one transaction. */
export const ORDERS_PER_TRANSACTION_MAX = 256;

const LOCK = sql(
  "order.lock",
  `SELECT ${ORDER_COLUMNS}, NOW(3) AS now FROM orders FORCE INDEX (PRIMARY)
   WHERE id IN (?) ORDER BY id FOR UPDATE`,
);

const LOCK_OWN = sql(
  "order.lock-own",
  `SELECT ${ORDER_COLUMNS}, NOW(3) AS now FROM orders FORCE INDEX (PRIMARY)
   WHERE id = ? AND user_id = ? FOR UPDATE`,
);

const LOCK_DUE = sql(
  "order.lock-due",
  `SELECT ${ORDER_COLUMNS}, NOW(3) AS now FROM orders FORCE INDEX (PRIMARY)
   WHERE id IN (?) AND status = 'pending_payment' AND expires_at < NOW(3)
   ORDER BY id FOR UPDATE SKIP LOCKED`,
);

const FIND = sql("order.find", `SELECT ${ORDER_COLUMNS} FROM orders WHERE id IN (?)`);

// A pair that is compared with text is compared as floating-point numbers, to which neighbouring ids
// are one and the same: ids must go into it as numbers.
const FIND_OWN = sql(
  "order.find-own",
  `SELECT ${ORDER_COLUMNS} FROM orders
   WHERE id IN (?) AND ((id, user_id) IN (?) OR id IN (?))`,
);

const ITEMS = sql(
  "order.items",
  `SELECT order_id, sku_id, product_id, name, quantity, price FROM order_items
   WHERE order_id IN (?) ORDER BY order_id, line`,
);

// The rows are locked and their new values known, so one statement writes them all. A row whose
// version is not the one that was read would get a status its CHECK refuses: that cannot happen
// under the lock, and must never pass if it does. Assignments go from left to right, so `version`
// is compared before it is changed.
const WRITE = sql(
  "order.write",
  `INSERT INTO orders (${ORDER_COLUMNS}) VALUES ?
   ON DUPLICATE KEY UPDATE
     status = IF(VALUES(version) - orders.version IN (0, 1), VALUES(status), 'conflict'),
     refunded_amount = VALUES(refunded_amount),
     cancel_reason = VALUES(cancel_reason),
     payment_id = VALUES(payment_id),
     expires_at = VALUES(expires_at),
     paid_at = VALUES(paid_at),
     updated_at = VALUES(updated_at),
     version = VALUES(version)`,
);

const INSERT_HISTORY = sql(
  "order.history.insert",
  `INSERT INTO order_events (order_id, version, from_status, to_status, reason, actor, at)
   VALUES ?`,
);

const FIND_HISTORY = sql(
  "order.history.find",
  `SELECT order_id, version, to_status, reason, actor, at FROM order_events
   WHERE order_id = ? AND version = ?`,
);

interface LockedRow extends OrderRow {
  readonly now: Date;
}

/** Orders under their locks, by id, and the database's time. */
export interface LockedOrders {
  readonly orders: ReadonlyMap<string, Order>;
  readonly now: Date;
}

/** Locks these orders by id; unknown ones are left out. */
export async function lockOrders(tx: Transaction, ids: readonly string[]): Promise<LockedOrders> {
  const sorted = [...new Set(ids)].sort(byNumericId);
  return await lockWith(tx, { statement: LOCK, params: [sorted], ids: sorted });
}

/** Locks those of these orders whose time to pay is over, without waiting for other nodes. */
export async function lockDueOrders(
  tx: Transaction,
  ids: readonly string[],
): Promise<LockedOrders> {
  return await lockWith(tx, { statement: LOCK_DUE, params: [ids], ids });
}

/** Null owner: anybody's. */
async function lockOne(
  tx: Transaction,
  { id, ownerId }: Pick<OrderUpdate, "id" | "ownerId">,
): Promise<LockedOrders> {
  if (ownerId === null) return await lockOrders(tx, [id]);
  return await lockWith(tx, { statement: LOCK_OWN, params: [id, ownerId], ids: [id] });
}

async function lockWith(
  tx: Transaction,
  {
    statement,
    params,
    ids,
  }: {
    readonly statement: Statement;
    readonly params: readonly unknown[];
    readonly ids: readonly string[];
  },
): Promise<LockedOrders> {
  assert(ids.length <= ORDERS_PER_TRANSACTION_MAX, `${ids.length} orders in one transaction`);
  if (ids.length === 0) return { orders: new Map(), now: new Date(0) };
  // Lines never change, so they need no lock and may be read at the same time.
  const [rows, lines] = await Promise.all([
    tx.rows<LockedRow>(statement, params),
    tx.rows<ItemRow>(ITEMS, [ids]),
  ]);
  return { orders: assemble(rows, lines), now: rows[0]?.now ?? new Date(0) };
}

function assemble(rows: readonly OrderRow[], items: readonly ItemRow[]): Map<string, Order> {
  const byOrder = Map.groupBy(items, (item) => item.order_id);
  return new Map(
    rows.map((row) => [row.id, orderOf(row, (byOrder.get(row.id) ?? []).map(lineOf))]),
  );
}

/** Orders as committed, in the order of `ids`; unknown ones are left out. */
export async function findOrders(
  database: Queryable,
  ids: readonly string[],
): Promise<readonly Order[]> {
  if (ids.length === 0) return [];
  const [rows, items] = await Promise.all([
    database.rows<OrderRow>(FIND, [ids]),
    database.rows<ItemRow>(ITEMS, [ids]),
  ]);
  const orders = assemble(rows, items);
  return ids.flatMap((id) => orders.get(id) ?? []);
}

/** An order that was asked for; null owner: anybody's. */
export interface OrderQuestion {
  readonly id: string;
  readonly ownerId: string | null;
}

/** Orders in the order of the questions; undefined for unknown ones and those of other owners. */
export async function findAnswers(
  database: Queryable,
  questions: readonly OrderQuestion[],
): Promise<readonly (Order | undefined)[]> {
  const ids = [...new Set(questions.map(({ id }) => id))];
  const owned = questions.map(({ id, ownerId }) => [BigInt(id), BigInt(ownerId ?? 0)]);
  const anybodys = questions.flatMap(({ id, ownerId }) => (ownerId === null ? [id] : []));
  const [rows, items] = await Promise.all([
    database.rows<OrderRow>(FIND_OWN, [ids, owned, anybodys.length === 0 ? [0] : anybodys]),
    database.rows<ItemRow>(ITEMS, [ids]),
  ]);
  const orders = assemble(rows, items);
  return questions.map(({ id, ownerId }) => {
    const order = orders.get(id);
    return ownerId === null || order?.userId === ownerId ? order : undefined;
  });
}

/** @throws ORDER_NOT_FOUND unless it exists and may be shown. */
export function shown(order: Order | undefined): Order {
  if (order === undefined || !isShown(order.status)) throw new PlatformError("ORDER_NOT_FOUND");
  return order;
}

/** Stores decisions about locked orders. Returns whether events wait for the relay now. */
export async function writeDecisions(
  tx: Transaction,
  decisions: readonly OrderDecision[],
): Promise<boolean> {
  const changed = decisions.filter(({ isChange }) => isChange);
  if (changed.length === 0) return false;
  const transitions = changed.flatMap(({ transition }) => transition ?? []);
  const events = changed.flatMap((decision): readonly NewEvent[] => decision.events);
  await Promise.all([
    tx.run(WRITE, [changed.map(({ state }) => orderValues(state))]),
    writeHistory(tx, transitions),
    appendEvents(tx, events),
  ]);
  return events.length > 0;
}

export async function writeHistory(
  tx: Transaction,
  transitions: readonly Transition[],
): Promise<void> {
  if (transitions.length === 0) return;
  await tx.run(INSERT_HISTORY, [transitions.map(historyValues)]);
}

function historyValues({
  orderId,
  version,
  from,
  to,
  reason,
  actor,
  at,
}: Transition): readonly (string | number | Date | null)[] {
  return [orderId, version, from, to, reason, actorText(actor), at];
}

interface HistoryRow {
  readonly to_status: Status;
  readonly reason: string | null;
  readonly actor: string;
  readonly at: Date;
}

/** Whether this very transition is in the history; the order's row must be locked. */
export async function isInHistory(tx: Transaction, transition: Transition): Promise<boolean> {
  const { orderId, version, to, reason, actor, at } = transition;
  const row = await tx.row<HistoryRow>(FIND_HISTORY, [orderId, version]);
  return (
    row !== undefined &&
    row.to_status === to &&
    row.reason === reason &&
    row.actor === actorText(actor) &&
    row.at.getTime() === at.getTime()
  );
}

/**
 * Changes one order that may be shown, with what `also` stores in the same transaction. Errors:
 * ORDER_NOT_FOUND, also for another owner's, and what `decide` throws.
 */
export async function updateOrder(
  database: Database,
  { id, ownerId, decide, also }: OrderUpdate,
): Promise<OrderDecision> {
  let written: OrderDecision | undefined;
  return await database.transaction(
    "order.update",
    async (tx) => {
      written = undefined;
      const { orders, now } = await lockOne(tx, { id, ownerId });
      const decision = decide(shown(orders.get(id)), now);
      await writeDecisions(tx, [decision]);
      if (decision.transition !== null) await also?.(tx, decision);
      written = decision;
      return decision;
    },
    {
      resolve: async (tx) => {
        await lockOrders(tx, [id]);
        const decision = must(written, "the decision whose commit is in doubt");
        const { transition } = decision;
        const isCommitted = transition === null || (await isInHistory(tx, transition));
        return isCommitted
          ? { outcome: "committed", value: decision }
          : { outcome: "not_committed" };
      },
    },
  );
}

export interface OrderUpdate {
  readonly id: string;
  /** Whose order it must be; null: anybody's. */
  readonly ownerId: string | null;
  readonly decide: (order: Order, now: Date) => OrderDecision;
  /** Stored with a change of status. */
  readonly also?: (tx: Transaction, decision: OrderDecision) => Promise<void>;
}
