// SQL of the daily comparison with the providers' lists.
import { type Database, sql } from "../../mixins/database/database.ts";
import type { PaymentChannel, ReconciliationDifference } from "../contracts/payment.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import type { Difference } from "./domain/reconciliation.ts";

const CAPTURED_PAGE = sql(
  "payment.reconciliation.captured",
  `SELECT id, amount, captured_at FROM payments
   WHERE channel = ? AND captured_at >= ? AND captured_at < ? AND id > ?
   ORDER BY id LIMIT ?`,
);
const CAPTURED_OF = sql(
  "payment.reconciliation.captured_of",
  "SELECT id, amount FROM payments WHERE id IN (?) AND channel = ? AND captured_at IS NOT NULL",
);
const BOOK = sql(
  "payment.reconciliation.book",
  `INSERT INTO reconciliation_differences
     (day, channel, subject, payment_id, provider_ref, kind, ours, theirs)
   VALUES ? ON DUPLICATE KEY UPDATE
     kind = VALUES(kind), ours = VALUES(ours), theirs = VALUES(theirs),
     provider_ref = VALUES(provider_ref)`,
);
const COLUMNS = "id, day, channel, payment_id, provider_ref, kind, ours, theirs, created_at";
const LIST = sql(
  "payment.reconciliation.list",
  `SELECT ${COLUMNS} FROM reconciliation_differences ORDER BY id DESC LIMIT ? OFFSET ?`,
);
const LIST_DAY = sql(
  "payment.reconciliation.list_day",
  `SELECT ${COLUMNS} FROM reconciliation_differences WHERE day = ?
   ORDER BY id DESC LIMIT ? OFFSET ?`,
);
const COUNT = sql(
  "payment.reconciliation.count",
  "SELECT COUNT(*) AS total FROM reconciliation_differences",
);
const COUNT_DAY = sql(
  "payment.reconciliation.count_day",
  "SELECT COUNT(*) AS total FROM reconciliation_differences WHERE day = ?",
);

export interface OurCapture {
  readonly paymentId: string;
  readonly amount: number;
}

/** Captures of a time range, by payment id, after `after`. */
export async function capturedBetween(
  database: Database,
  range: { readonly channel: PaymentChannel; readonly from: Date; readonly to: Date },
  after: string,
  limit: number,
): Promise<readonly OurCapture[]> {
  const rows = await database.rows<{ id: string; amount: string }>(CAPTURED_PAGE, [
    range.channel,
    range.from,
    range.to,
    after,
    limit,
  ]);
  return rows.map((row) => ({ paymentId: row.id, amount: Number(row.amount) }));
}

/** Captured amounts by payment id, whenever they were captured. */
export async function capturedAmounts(
  database: Database,
  channel: PaymentChannel,
  paymentIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  if (paymentIds.length === 0) return new Map();
  const rows = await database.rows<{ id: string; amount: string }>(CAPTURED_OF, [
    paymentIds,
    channel,
  ]);
  return new Map(rows.map((row) => [row.id, Number(row.amount)]));
}

/** Books each difference of a day once; a repeated comparison brings its figures up to date. */
export async function bookDifferences(
  database: Database,
  day: string,
  channel: PaymentChannel,
  differences: readonly Difference[],
): Promise<void> {
  if (differences.length === 0) return;
  await database.run(BOOK, [
    differences.map((one) => [
      day,
      channel,
      one.paymentId,
      one.paymentId,
      one.providerRef,
      one.kind,
      one.ours,
      one.theirs,
    ]),
  ]);
}

interface DifferenceRow {
  readonly id: string;
  readonly day: string;
  readonly channel: PaymentChannel;
  readonly payment_id: string | null;
  readonly provider_ref: string | null;
  readonly kind: ReconciliationDifference["kind"];
  readonly ours: string | null;
  readonly theirs: string | null;
  readonly created_at: Date;
}

export async function listDifferences(
  database: Database,
  params: { readonly page?: number; readonly page_size?: number; readonly day?: string },
): Promise<PageOf<ReconciliationDifference>> {
  const { page, pageSize, offset } = pageOf(params);
  const { day } = params;
  const [rows, count] = await Promise.all([
    day === undefined
      ? database.rows<DifferenceRow>(LIST, [pageSize, offset])
      : database.rows<DifferenceRow>(LIST_DAY, [day, pageSize, offset]),
    day === undefined
      ? database.row<{ total: string }>(COUNT)
      : database.row<{ total: string }>(COUNT_DAY, [day]),
  ]);
  return {
    items: rows.map(differenceView),
    page,
    page_size: pageSize,
    total: Number(count?.total ?? 0),
  };
}

function differenceView(row: DifferenceRow): ReconciliationDifference {
  return {
    id: row.id,
    day: row.day,
    channel: row.channel,
    payment_id: row.payment_id,
    provider_ref: row.provider_ref,
    kind: row.kind,
    ours: row.ours === null ? null : Number(row.ours),
    theirs: row.theirs === null ? null : Number(row.theirs),
    created_at: row.created_at.toISOString(),
  };
}
