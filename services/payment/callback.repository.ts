// The inbox of the providers' callbacks. A row is never deleted and its facts never change; only
// applied_at and effect are filled in later (settlement.repository.ts).
import { sql, type Transaction } from "../../mixins/database/database.ts";

/** A callback to be stored. */
export interface NewCallback {
  readonly channel: string;
  readonly webhookId: string;
  readonly paymentId: string;
  readonly source: "provider" | "query";
  readonly outcome: "succeeded" | "failed";
  /** Minor units. */
  readonly amount: number;
  readonly providerRef: string;
  /** SHA-256 of the raw body, hex. */
  readonly payloadHash: string;
}

export interface KnownCallback {
  readonly channel: string;
  readonly webhook_id: string;
  readonly payload_hash: string;
  readonly payment_id: string;
}

const INSERT = sql(
  "payment.callbacks.insert",
  `INSERT INTO callbacks (channel, webhook_id, payment_id, source, outcome, amount, provider_ref,
                          payload_hash)
   VALUES ? ON DUPLICATE KEY UPDATE payload_hash = payload_hash`,
);
const FIND = sql(
  "payment.callbacks.find",
  `SELECT channel, webhook_id, payload_hash, payment_id FROM callbacks
   WHERE channel = ? AND webhook_id IN (?)`,
);

/** Stores those that are not there yet. */
export async function insertCallbacks(
  tx: Transaction,
  callbacks: readonly NewCallback[],
): Promise<void> {
  if (callbacks.length === 0) return;
  // In key order, so that two nodes that store the same notifications cannot deadlock.
  const sorted = [...callbacks].sort((left, right) =>
    `${left.channel} ${left.webhookId}` < `${right.channel} ${right.webhookId}` ? -1 : 1,
  );
  await tx.run(INSERT, [
    sorted.map((one) => [
      one.channel,
      one.webhookId,
      one.paymentId,
      one.source,
      one.outcome,
      one.amount,
      one.providerRef,
      one.payloadHash,
    ]),
  ]);
}

/** The stored ones of these, by webhook id; all are of one channel. */
export async function findCallbacks(
  tx: Transaction,
  channel: string,
  webhookIds: readonly string[],
): Promise<ReadonlyMap<string, KnownCallback>> {
  const rows = await tx.rows<KnownCallback>(FIND, [channel, webhookIds]);
  return new Map(rows.map((row) => [row.webhook_id, row]));
}
