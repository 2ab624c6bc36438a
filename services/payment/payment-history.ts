// What happened to an order's money, as its buyer may be told: payments, what providers said of them, refunds.
import { type Database, sql } from "../../mixins/database/database.ts";
import type { PaymentHistoryEntry } from "../contracts/payment.ts";
import { byTime } from "../kernel/by-time.ts";

/** Rows of each kind; an order has a few. */
const ROWS_MAX = 50;

const OPENED = sql(
  "payment.history.opened",
  `SELECT p.created_at AS at, 'opened' AS kind, p.id AS payment_id, p.channel, p.amount, NULL AS reason
   FROM payments p WHERE p.order_id = ? ORDER BY p.id LIMIT ?`,
);

// A word that is stored and not applied yet has had no effect.
const SAID = sql(
  "payment.history.said",
  `SELECT c.received_at AS at, c.outcome AS kind, p.id AS payment_id, p.channel, c.amount,
          c.effect AS reason
   FROM payments p JOIN callbacks c ON c.payment_id = p.id
   WHERE p.order_id = ? ORDER BY c.id LIMIT ?`,
);

const REFUNDS = sql(
  "payment.history.refunds",
  `SELECT f.created_at AS at, f.succeeded_at, p.id AS payment_id, p.channel, f.amount, f.reason
   FROM payments p JOIN refunds f ON f.payment_id = p.id
   WHERE p.order_id = ? ORDER BY f.id LIMIT ?`,
);

interface HistoryRow extends Omit<PaymentHistoryEntry, "at" | "amount"> {
  readonly at: Date;
  readonly amount: string;
}

interface RefundRow extends Omit<HistoryRow, "kind"> {
  readonly succeeded_at: Date | null;
}

export async function paymentHistory(
  database: Database,
  orderId: string,
): Promise<{ items: PaymentHistoryEntry[] }> {
  const params = [orderId, ROWS_MAX];
  const [opened, said, refunds] = await Promise.all([
    database.rows<HistoryRow>(OPENED, params),
    database.rows<HistoryRow>(SAID, params),
    database.rows<RefundRow>(REFUNDS, params),
  ]);
  // In the order of a payment's life: so stays what happened in the same millisecond.
  const items = [...opened, ...said, ...refunds.flatMap(refundRows)].map(entryOf);
  return { items: items.sort(byTime) };
}

function refundRows({ succeeded_at: doneAt, ...refund }: RefundRow): HistoryRow[] {
  const requested: HistoryRow = { ...refund, kind: "refund_requested" };
  return doneAt === null ? [requested] : [requested, { ...refund, at: doneAt, kind: "refunded" }];
}

function entryOf({ at, amount, ...row }: HistoryRow): PaymentHistoryEntry {
  return { ...row, at: at.toISOString(), amount: Number(amount) };
}
