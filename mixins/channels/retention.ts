// Deletes old rows of the message tables. The order of lives is what keeps effects single: receipts
// outlive outbox rows, which outlive the stream, so nothing that can come back finds no receipt.
import { assert } from "../../services/kernel/assert.ts";
import type { Database } from "../database/database.ts";
import { purgeInbox } from "../inbox/inbox.ts";
import { purgeOutbox } from "../outbox/outbox.repository.ts";
import type { RetentionLimits } from "./limits.ts";
import { STREAM_MAX_AGE_MS } from "./topology.ts";

/** One turn of bounded batches. Returns how many rows were deleted. */
export async function purgeMessages(database: Database, limits: RetentionLimits): Promise<number> {
  const { outboxKeepMs, inboxKeepMs } = limits;
  assert(outboxKeepMs > STREAM_MAX_AGE_MS, "the outbox outlives the stream");
  assert(inboxKeepMs > outboxKeepMs + STREAM_MAX_AGE_MS, "receipts outlive a late republish");
  const events = await inBatches(limits, (size) => purgeOutbox(database, outboxKeepMs, size));
  const receipts = await inBatches(limits, (size) => purgeInbox(database, inboxKeepMs, size));
  return events + receipts;
}

async function inBatches(
  { batchSizeMax, batchesMax }: RetentionLimits,
  purge: (batchSize: number) => Promise<number>,
): Promise<number> {
  let deleted = 0;
  for (let batch = 0; batch < batchesMax; batch += 1) {
    const count = await purge(batchSizeMax);
    deleted += count;
    if (count < batchSizeMax) break;
  }
  return deleted;
}
