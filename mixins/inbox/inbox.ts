// Receipts of consumed events. The row is written in the transaction of the effect: whatever is
// delivered twice, late or after a crash, an event has one effect per consumer. This row is the
// guarantee; the stream's duplicate window is only an optimisation.
import { type Database, sql, type Transaction } from "../database/database.ts";
import { isDuplicateKey } from "../database/database-error.ts";

const INSERT = sql("inbox.insert", "INSERT INTO inbox (consumer, event_id) VALUES ?");
const SELECT = sql(
  "inbox.find",
  "SELECT event_id AS eventId FROM inbox WHERE consumer = ? AND event_id IN (?)",
);
const PURGE = sql(
  "inbox.purge",
  "DELETE FROM inbox WHERE received_at < NOW(3) - INTERVAL ? SECOND ORDER BY received_at LIMIT ?",
);

const MS_PER_SECOND = 1_000;

/**
 * Writes receipts and returns the ids `consumer` has not had before; `eventIds` holds no id twice.
 * Two deliveries at the same time: the second waits for the first one's transaction to end.
 */
export async function receiveOnce(
  tx: Transaction,
  consumer: string,
  eventIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const ids = eventIds.toSorted();
  try {
    await insertReceipts(tx, consumer, ids);
    return new Set(ids);
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
  const had = await tx.rows<{ eventId: string }>(SELECT, [consumer, ids]);
  const known = new Set(had.map((row) => row.eventId));
  const fresh = ids.filter((id) => !known.has(id));
  await insertReceipts(tx, consumer, fresh);
  return new Set(fresh);
}

async function insertReceipts(
  tx: Transaction,
  consumer: string,
  ids: readonly string[],
): Promise<void> {
  if (ids.length > 0) await tx.run(INSERT, [ids.map((id) => [consumer, id])]);
}

/** Deletes up to `limit` receipts older than `keepMs`. Returns how many. */
export async function purgeInbox(
  database: Database,
  keepMs: number,
  limit: number,
): Promise<number> {
  return (await database.run(PURGE, [Math.floor(keepMs / MS_PER_SECOND), limit])).affectedRows;
}
