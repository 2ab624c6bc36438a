// SQL on refunds. A pending refund is work: next_at says when somebody may take it on, and taking it
// on moves next_at ahead, so that a crash only delays it.
import {
  type Database,
  type Queryable,
  sql,
  type Transaction,
} from "../../mixins/database/database.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import { assert, must } from "../kernel/assert.ts";
import { refundEntries } from "./domain/ledger.ts";
import { bookRefund, type Payment } from "./domain/payment.ts";
import { lockPayment } from "./payment.repository.ts";
import { type Refund, refundOf, type RefundRow } from "./payment.rows.ts";
import { insertEntries } from "./settlement.repository.ts";

const US_PER_MS = 1_000;
const ERROR_LENGTH_MAX = 200;
const COLUMNS = "id, payment_id, amount, reason, status, attempts, created_at";

const FIND = sql("payment.refunds.find", `SELECT ${COLUMNS} FROM refunds WHERE id = ?`);
const FIND_BY_KEY = sql(
  "payment.refunds.find_by_key",
  `SELECT ${COLUMNS} FROM refunds WHERE payment_id = ? AND refund_key = ?`,
);
const LOCK = sql("payment.refunds.lock", `SELECT ${COLUMNS} FROM refunds WHERE id = ? FOR UPDATE`);
const INSERT = sql(
  "payment.refunds.request",
  "INSERT INTO refunds (id, payment_id, refund_key, amount, reason) VALUES (?, ?, ?, ?, ?)",
);
const RESERVE = sql(
  "payment.payments.reserve_refund",
  `UPDATE payments SET refund_reserved = refund_reserved + ?
   WHERE id = ? AND captured_at IS NOT NULL AND refund_reserved + ? <= amount`,
);
const CLAIM = sql(
  "payment.refunds.claim",
  `SELECT ${COLUMNS} FROM refunds WHERE next_at <= NOW(3)
   ORDER BY next_at LIMIT ? FOR UPDATE SKIP LOCKED`,
);
const HOLD = sql(
  "payment.refunds.hold",
  `UPDATE refunds SET attempts = attempts + 1, next_at = NOW(3) + INTERVAL ? MICROSECOND
   WHERE id IN (?)`,
);
const POSTPONE = sql(
  "payment.refunds.postpone",
  `UPDATE refunds SET next_at = NOW(3) + INTERVAL ? MICROSECOND, last_error = ?
   WHERE id = ? AND status = 'pending'`,
);
const SUCCEED = sql(
  "payment.refunds.succeed",
  `UPDATE refunds SET status = 'succeeded', succeeded_at = NOW(3), next_at = NULL, last_error = NULL
   WHERE id = ?`,
);
const BOOK = sql(
  "payment.payments.book_refund",
  "UPDATE payments SET refunded_amount = ?, status = ?, version = version + 1 WHERE id = ?",
);

export interface RefundRequest {
  readonly id: string;
  readonly paymentId: string;
  readonly refundKey: string;
  /** Minor units. */
  readonly amount: number;
  readonly reason: string;
}

/** Promises the money; the payment's row is locked by the caller and `amount` was checked. */
export async function insertRefund(tx: Transaction, request: RefundRequest): Promise<Refund> {
  const { id, paymentId, refundKey, amount, reason } = request;
  const reserved = await tx.run(RESERVE, [amount, paymentId, amount]);
  assert(reserved.affectedRows === 1, "the rest of a locked payment covers the refund");
  await tx.run(INSERT, [id, paymentId, refundKey, amount, reason]);
  return must(await findRefund(tx, id), "the refund just inserted");
}

export async function findRefund(database: Queryable, id: string): Promise<Refund | undefined> {
  const row = await database.row<RefundRow>(FIND, [id]);
  return row === undefined ? undefined : refundOf(row);
}

/** A refund by the key it was asked for with; a key never refunds a payment twice. */
export async function findRefundByKey(
  database: Queryable,
  paymentId: string,
  refundKey: string,
): Promise<Refund | undefined> {
  const row = await database.row<RefundRow>(FIND_BY_KEY, [paymentId, refundKey]);
  return row === undefined ? undefined : refundOf(row);
}

/** Takes up to `limit` due refunds for `leaseMs`. */
export async function claimRefunds(
  database: Database,
  limit: number,
  leaseMs: number,
): Promise<readonly Refund[]> {
  return await database.transaction("payment.refunds.claim", async (tx) => {
    const rows = await tx.rows<RefundRow>(CLAIM, [limit]);
    if (rows.length > 0) await tx.run(HOLD, [leaseMs * US_PER_MS, rows.map(({ id }) => id)]);
    return rows.map(refundOf);
  });
}

export async function postponeRefund(
  database: Database,
  id: string,
  delayMs: number,
  error: string,
): Promise<void> {
  await database.run(POSTPONE, [delayMs * US_PER_MS, error.slice(0, ERROR_LENGTH_MAX), id]);
}

/**
 * Books a refund the provider has carried out: refund, payment, ledger and event in one transaction.
 * Answers false when it was booked before.
 */
export async function bookCarriedOut(tx: Transaction, refund: Refund): Promise<boolean> {
  const payment = await lockPayment(tx, refund.paymentId);
  const row = must(await tx.row<RefundRow>(LOCK, [refund.id]), "a claimed refund");
  if (row.status === "succeeded") return false;
  const booked = bookRefund(payment, refund.amount);
  await Promise.all([
    tx.run(BOOK, [booked.refundedAmount, booked.status, payment.id]),
    tx.run(SUCCEED, [refund.id]),
    insertEntries(tx, refundEntries(refund, payment.isLive)),
    appendEvents(tx, [refundedEvent(payment, refund, booked)]),
  ]);
  return true;
}

function refundedEvent(
  payment: Payment,
  refund: Refund,
  booked: { readonly refundedAmount: number; readonly isFull: boolean },
): Parameters<typeof appendEvents>[1][number] {
  return {
    name: "payment.refunded.v1",
    aggregateId: payment.id,
    aggregateVersion: payment.version + 1,
    payload: {
      payment_id: payment.id,
      order_id: payment.orderId,
      refund_id: refund.id,
      amount: refund.amount,
      refunded_amount: booked.refundedAmount,
      is_full: booked.isFull,
      reason: refund.reason,
    },
  };
}
