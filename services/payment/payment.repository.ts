// SQL on payments and on the row that stands for their order. The order's row is locked first, then
// its payments, both in id order; whoever changes a payment's state holds both.
import { type Queryable, sql, type Transaction } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import { must } from "../kernel/assert.ts";
import type { Payment } from "./domain/payment.ts";
import type { OrderAccount } from "./domain/settlement.ts";
import {
  callbackOf,
  type CallbackRow,
  PAYMENT_COLUMNS,
  paymentOf,
  type PaymentRow,
} from "./payment.rows.ts";

/** Orders settled, opened or closed in one transaction. */
export const ORDER_BATCH_MAX = 128;

const ADD_ORDERS = sql(
  "payment.orders.add",
  `INSERT INTO payment_orders (order_id) VALUES ?
   ON DUPLICATE KEY UPDATE closing_at = closing_at`,
);
const LOCK_ORDERS = sql(
  "payment.orders.lock",
  `SELECT order_id, closing_at, closed_at, NOW(3) AS read_at FROM payment_orders
   WHERE order_id IN (?) ORDER BY order_id FOR UPDATE`,
);
const LOCK_PAYMENTS = sql(
  "payment.payments.lock",
  `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.order_id IN (?) ORDER BY p.id FOR UPDATE`,
);
const LOCK_CALLBACKS = sql(
  "payment.callbacks.lock",
  `SELECT c.id, p.order_id, c.payment_id, c.source, c.outcome, c.received_at
   FROM payments p JOIN callbacks c ON c.payment_id = p.id AND c.applied_at IS NULL
   WHERE p.order_id IN (?) ORDER BY c.id FOR UPDATE`,
);
const MARK_CLOSING = sql(
  "payment.orders.closing",
  "UPDATE payment_orders SET closing_at = COALESCE(closing_at, NOW(3)) WHERE order_id IN (?)",
);
const MARK_CLOSED = sql(
  "payment.orders.closed",
  `UPDATE payment_orders
   SET closing_at = COALESCE(closing_at, NOW(3)), closed_at = COALESCE(closed_at, NOW(3))
   WHERE order_id IN (?)`,
);
const INSERT = sql(
  "payment.payments.insert",
  `INSERT INTO payments
     (id, order_id, user_id, channel, amount, currency, live, expires_at, created_at, updated_at)
   VALUES ?`,
);
const FIND = sql(
  "payment.payments.find",
  `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.id = ?`,
);
const FIND_OWN = sql(
  "payment.payments.find_own",
  `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.id = ? AND p.user_id = ?`,
);
const FIND_MANY = sql(
  "payment.payments.find_many",
  `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.id IN (?)`,
);
const LOCK_ONE = sql(
  "payment.payments.lock_one",
  `SELECT ${PAYMENT_COLUMNS} FROM payments p WHERE p.id = ? FOR UPDATE`,
);
const SET_PAY_URL = sql(
  "payment.payments.set_pay_url",
  "UPDATE payments SET pay_url = ? WHERE id = ? AND status = 'pending'",
);

interface OrderRow {
  readonly order_id: string;
  readonly closing_at: Date | null;
  readonly closed_at: Date | null;
  readonly read_at: Date;
}

/** What a transaction knows of its orders under their locks. */
export interface LockedAccounts {
  /** The database's clock when the locks were had. */
  readonly now: Date;
  readonly accounts: ReadonlyMap<string, OrderAccount>;
}

export function byNumericId(left: string, right: string): number {
  return left.length - right.length || (left < right ? -1 : Number(left > right));
}

/**
 * Locks the orders' rows and then their payments; orders without a row are left out unless they are
 * to be added. The statements are sent together and run in turn.
 */
export async function lockAccounts(
  tx: Transaction,
  orderIds: readonly string[],
  { adds, callbacks }: { readonly adds: boolean; readonly callbacks: boolean },
): Promise<LockedAccounts> {
  const sorted = [...new Set(orderIds)].sort(byNumericId);
  const [, orders, payments, stored] = await Promise.all([
    adds ? tx.run(ADD_ORDERS, [sorted.map((orderId) => [orderId])]) : undefined,
    tx.rows<OrderRow>(LOCK_ORDERS, [sorted]),
    tx.rows<PaymentRow>(LOCK_PAYMENTS, [sorted]),
    callbacks ? tx.rows<CallbackRow>(LOCK_CALLBACKS, [sorted]) : [],
  ]);
  const paymentsOf = Map.groupBy(payments.map(paymentOf), ({ orderId }) => orderId);
  const callbacksOf = Map.groupBy(stored, (row) => row.order_id);
  const accounts = orders.map((row): [string, OrderAccount] => [
    row.order_id,
    {
      orderId: row.order_id,
      closingAt: row.closing_at,
      closedAt: row.closed_at,
      payments: paymentsOf.get(row.order_id) ?? [],
      callbacks: (callbacksOf.get(row.order_id) ?? []).map(callbackOf),
    },
  ]);
  return { now: orders[0]?.read_at ?? new Date(0), accounts: new Map(accounts) };
}

/** For the look-up of a lost commit: waits until no other transaction holds these orders. */
export async function awaitOrders(tx: Transaction, orderIds: readonly string[]): Promise<void> {
  await tx.rows(LOCK_ORDERS, [[...new Set(orderIds)].sort(byNumericId)]);
}

export async function markClosing(tx: Transaction, orderIds: readonly string[]): Promise<void> {
  if (orderIds.length > 0) await tx.run(MARK_CLOSING, [orderIds]);
}

export async function markClosed(tx: Transaction, orderIds: readonly string[]): Promise<void> {
  if (orderIds.length > 0) await tx.run(MARK_CLOSED, [orderIds]);
}

/** Inserts open payments. */
export async function insertPayments(tx: Transaction, payments: readonly Payment[]): Promise<void> {
  if (payments.length === 0) return;
  const rows = payments.map((one) => [
    one.id,
    one.orderId,
    one.userId,
    one.channel,
    one.amount,
    one.currency,
    1,
    one.expiresAt,
    one.createdAt,
    one.updatedAt,
  ]);
  await tx.run(INSERT, [rows]);
}

/** @param ownerId the user whose payment it must be; undefined for an admin.
 * @throws PAYMENT_NOT_FOUND, also for somebody else's payment. */
export async function findPayment(
  database: Queryable,
  id: string,
  ownerId: string | undefined,
): Promise<Payment> {
  const row = await (ownerId === undefined
    ? database.row<PaymentRow>(FIND, [id])
    : database.row<PaymentRow>(FIND_OWN, [id, ownerId]));
  if (row === undefined) throw new PlatformError("PAYMENT_NOT_FOUND");
  return paymentOf(row);
}

/** Payments by id; unknown ids are left out. */
export async function findPayments(
  database: Queryable,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Payment>> {
  if (ids.length === 0) return new Map();
  const rows = await database.rows<PaymentRow>(FIND_MANY, [ids]);
  return new Map(rows.map((row) => [row.id, paymentOf(row)]));
}

/** @throws PAYMENT_NOT_FOUND */
export async function lockPayment(tx: Transaction, id: string): Promise<Payment> {
  const row = await tx.row<PaymentRow>(LOCK_ONE, [id]);
  if (row === undefined) throw new PlatformError("PAYMENT_NOT_FOUND");
  return paymentOf(row);
}

/** Keeps where the buyer pays; an open payment of a channel that has such a page. */
export async function keepPayUrl(database: Queryable, id: string, url: string): Promise<void> {
  await database.run(SET_PAY_URL, [url, id]);
}

/** The account of an order that was locked; a programmer's error when it was not. */
export function accountOf(locked: LockedAccounts, orderId: string): OrderAccount {
  return must(locked.accounts.get(orderId), "a locked order");
}
