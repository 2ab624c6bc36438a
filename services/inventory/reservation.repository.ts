// SQL on reservations and their lines, inside somebody's transaction. Lines are written once; only
// the status of the order's row changes.
import { type Queryable, sql, type Transaction } from "../../mixins/database/database.ts";
import { assert } from "../kernel/assert.ts";
import type {
  Reservation,
  ReservationLine,
  ReservationStatus,
  ReserveCommand,
} from "./domain/reservation.ts";
import { byNumericId } from "./domain/stock.ts";

const STATUSES = sql(
  "inventory.reservations.statuses",
  "SELECT order_id, status FROM reservations WHERE order_id IN (?)",
);

const LOCK_STATUSES = sql(
  "inventory.reservations.lock",
  "SELECT order_id, status FROM reservations WHERE order_id IN (?) ORDER BY order_id FOR UPDATE",
);

const READ = sql(
  "inventory.reservations.read",
  `SELECT r.order_id, r.status, l.sku_id, l.quantity
   FROM reservations r LEFT JOIN reservation_lines l ON l.order_id = r.order_id
   WHERE r.order_id IN (?)
   ORDER BY r.order_id, l.sku_id`,
);

const INSERT = sql(
  "inventory.reservations.insert",
  "INSERT INTO reservations (order_id, status) VALUES ?",
);

const INSERT_LINES = sql(
  "inventory.reservation_lines.insert",
  "INSERT INTO reservation_lines (order_id, sku_id, quantity) VALUES ?",
);

const END = sql(
  "inventory.reservations.end",
  `UPDATE reservations SET status = ?, updated_at = NOW(3)
   WHERE order_id IN (?) AND status = 'held'`,
);

interface StatusRow {
  readonly order_id: string;
  readonly status: ReservationStatus;
}

interface ReservationRow extends StatusRow {
  readonly sku_id: string | null;
  readonly quantity: number | null;
}

/** Statuses by order id, as committed; orders without a reservation are left out. */
export async function readStatuses(
  database: Queryable,
  orderIds: readonly string[],
): Promise<Map<string, ReservationStatus>> {
  if (orderIds.length === 0) return new Map();
  return statusMap(await database.rows<StatusRow>(STATUSES, [orderIds]));
}

/** The same, locked by id. Call with the stock rows locked already. */
export async function lockStatuses(
  tx: Transaction,
  orderIds: readonly string[],
): Promise<Map<string, ReservationStatus>> {
  if (orderIds.length === 0) return new Map();
  const sorted = [...orderIds].sort(byNumericId);
  return statusMap(await tx.rows<StatusRow>(LOCK_STATUSES, [sorted]));
}

/** Reservations with their lines, without a lock: lines never change. */
export async function readReservations(
  database: Queryable,
  orderIds: readonly string[],
): Promise<Map<string, Reservation>> {
  if (orderIds.length === 0) return new Map();
  const lines = new Map<string, { status: ReservationStatus; lines: ReservationLine[] }>();
  for (const row of await database.rows<ReservationRow>(READ, [orderIds])) {
    const entry = lines.get(row.order_id) ?? { status: row.status, lines: [] };
    lines.set(row.order_id, entry);
    if (row.sku_id !== null && row.quantity !== null) {
      entry.lines.push({ skuId: row.sku_id, quantity: row.quantity });
    }
  }
  return new Map([...lines].map(([orderId, entry]) => [orderId, { orderId, ...entry }]));
}

/**
 * Inserts orders with their lines, by id. A duplicate key says that another transaction knows one of
 * the orders: the whole transaction must begin anew.
 */
export async function insertHeld(
  tx: Transaction,
  granted: readonly ReserveCommand[],
): Promise<void> {
  const sorted = [...granted].sort((left, right) => byNumericId(left.orderId, right.orderId));
  await Promise.all([
    tx.run(INSERT, [sorted.map(({ orderId }) => [orderId, "held"])]),
    tx.run(INSERT_LINES, [
      sorted.flatMap(({ orderId, lines }) =>
        lines.map(({ skuId, quantity }) => [orderId, skuId, quantity]),
      ),
    ]),
  ]);
}

/** Marks orders that never reserved as released, so that a late reserve is refused. */
export async function insertTombstones(
  tx: Transaction,
  orderIds: readonly string[],
): Promise<void> {
  if (orderIds.length === 0) return;
  const sorted = [...orderIds].sort(byNumericId);
  await tx.run(INSERT, [sorted.map((orderId) => [orderId, "released"])]);
}

/** Ends held reservations whose rows are locked. */
export async function endHeld(
  tx: Transaction,
  status: "committed" | "released",
  orderIds: readonly string[],
): Promise<void> {
  if (orderIds.length === 0) return;
  const { affectedRows } = await tx.run(END, [status, orderIds]);
  assert(affectedRows === orderIds.length, "every ended reservation was held under the lock");
}

function statusMap(rows: readonly StatusRow[]): Map<string, ReservationStatus> {
  return new Map(rows.map((row) => [row.order_id, row.status]));
}
