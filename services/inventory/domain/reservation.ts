// A reservation: the units an order holds. held -> committed | released, nothing else; it never
// ends by this service's own clock. `grant` walks a batch of orders by arrival.
import { PlatformError } from "../../contracts/errors.ts";
import { BOOKINGS, orderable, type StockBook } from "./stock.ts";

export type ReservationStatus = "held" | "committed" | "released";

export interface ReservationLine {
  readonly skuId: string;
  readonly quantity: number;
}

export interface Reservation {
  readonly orderId: string;
  readonly status: ReservationStatus;
  /** No lines = a tombstone: released before it was ever reserved. */
  readonly lines: readonly ReservationLine[];
}

export interface ReserveCommand {
  readonly orderId: string;
  /** Each SKU once, by id. */
  readonly lines: readonly ReservationLine[];
}

export type ReserveOutcome =
  | { readonly kind: "reserved" }
  | { readonly kind: "out_of_stock"; readonly skuIds: readonly string[] }
  /** Released before: the order was given up, a late reserve must not hold units for it. */
  | { readonly kind: "given_up" };

export interface Grant {
  /** One outcome per command, in order. */
  readonly outcomes: readonly ReserveOutcome[];
  /** The commands that hold units now and did not before. */
  readonly granted: readonly ReserveCommand[];
}

const RESERVED: ReserveOutcome = { kind: "reserved" };
const GIVEN_UP: ReserveOutcome = { kind: "given_up" };

/**
 * Gives each order all its lines or none, in the order of arrival, and books what it gives. An order
 * that cannot be served does not stop a smaller one behind it.
 */
export function grant(
  book: StockBook,
  commands: readonly ReserveCommand[],
  known: ReadonlyMap<string, ReservationStatus>,
): Grant {
  const granted = new Map<string, ReserveCommand>();
  const outcomes = commands.map((command): ReserveOutcome => {
    const status = known.get(command.orderId);
    if (status !== undefined) return status === "released" ? GIVEN_UP : RESERVED;
    if (granted.has(command.orderId)) return RESERVED;
    const skuIds = shortOf(book, command.lines);
    if (skuIds.length > 0) return { kind: "out_of_stock", skuIds };
    for (const line of command.lines) bookReserve(book, command.orderId, line);
    granted.set(command.orderId, command);
    return RESERVED;
  });
  return { outcomes, granted: [...granted.values()] };
}

function shortOf(book: StockBook, lines: readonly ReservationLine[]): string[] {
  return lines
    .filter(({ skuId, quantity }) => {
      const stock = book.find(skuId);
      return stock === undefined || orderable(stock) < quantity;
    })
    .map(({ skuId }) => skuId);
}

function bookReserve(book: StockBook, orderId: string, line: ReservationLine): void {
  book.book({
    skuId: line.skuId,
    kind: "reserve",
    delta: BOOKINGS.reserve(line.quantity),
    causeType: "order",
    causeId: orderId,
    reason: null,
  });
}

/** What an order's end asks of its reservation. */
export type SettlementAction = "commit" | "release" | "restock";

/** `book` = do it now; `done` = it was done before. */
export type SettlementMove = "book" | "tombstone" | "done";

/** What is not named contradicts. A cancelled order never held its units, perhaps: a tombstone. */
const MOVES: Readonly<
  Record<SettlementAction, Partial<Record<ReservationStatus | "none", SettlementMove>>>
> = {
  commit: { held: "book", committed: "done" },
  release: { held: "book", released: "done", none: "tombstone" },
  // `held`: the refund overtook the payment's event. The two bookings commute, so it need not wait;
  // the units never left the house.
  restock: { held: "book", committed: "book" },
};

/**
 * What to do with a reservation (undefined = there is none) when its order is paid, cancelled or
 * refunded.
 * @throws ORDER_ILLEGAL_TRANSITION when the two contradict: the event is a dead letter then, never
 * a silent no-op.
 */
export function settle(
  action: SettlementAction,
  status: ReservationStatus | undefined,
): SettlementMove {
  const reservation = status ?? "none";
  const move = MOVES[action][reservation];
  if (move === undefined) {
    throw new PlatformError("ORDER_ILLEGAL_TRANSITION", { action, reservation });
  }
  return move;
}
