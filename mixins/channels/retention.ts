// Deletes old rows of the tables every event owner has: events, receipts, ended sagas, closed dead letters.
// The order of lives is what keeps effects single: receipts outlive outbox rows, which outlive the
// stream, so nothing that can come back finds no receipt. Ledgers and histories are never deleted.
import { assert } from "../../services/kernel/assert.ts";
import { deleteInBatches } from "../database/batched-deletes.ts";
import { type Database, sql, type Statement } from "../database/database.ts";
import { purgeInbox } from "../inbox/inbox.ts";
import { purgeOutbox } from "../outbox/outbox.repository.ts";
import type { RetentionLimits } from "./limits.ts";
import { STREAM_MAX_AGE_MS } from "./topology.ts";

const US_PER_MS = 1_000;

const ENDED_SAGAS = sql(
  "sagas.purge",
  `DELETE FROM sagas WHERE next_at IS NULL AND updated_at < NOW(3) - INTERVAL ? MICROSECOND
    ORDER BY updated_at LIMIT ?`,
);
const CLOSED_DEAD_LETTERS = sql(
  "dead-letters.purge",
  `DELETE FROM dead_letters
    WHERE status IN ('replayed', 'discarded') AND resolved_at < NOW(3) - INTERVAL ? MICROSECOND
    ORDER BY id LIMIT ?`,
);

/** One turn of bounded batches. Returns how many rows were deleted. */
export async function purgeMessages(database: Database, limits: RetentionLimits): Promise<number> {
  const { outboxKeepMs, inboxKeepMs } = limits;
  assert(outboxKeepMs > STREAM_MAX_AGE_MS, "the outbox outlives the stream");
  assert(inboxKeepMs > outboxKeepMs + STREAM_MAX_AGE_MS, "receipts outlive a late republish");
  const events = await deleteInBatches(limits, (size) => purgeOutbox(database, outboxKeepMs, size));
  const receipts = await deleteInBatches(limits, (size) => purgeInbox(database, inboxKeepMs, size));
  const purge = (statement: Statement, keepMs: number): Promise<number> =>
    deleteInBatches(limits, async (size) => {
      return (await database.run(statement, [keepMs * US_PER_MS, size])).affectedRows;
    });
  const sagas = await purge(ENDED_SAGAS, limits.sagaKeepMs);
  const letters = await purge(CLOSED_DEAD_LETTERS, limits.deadLetterKeepMs);
  return events + receipts + sagas + letters;
}
