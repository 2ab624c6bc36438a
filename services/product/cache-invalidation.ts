// The durable half of invalidation. A changed product is deleted from the cache twice: when its
// product.changed.v1 arrives, and once more a little later, for a reader that had the old row in its
// hands, or for a Redis that was away. The second delete is a row of this schema and not a timer or
// a delayed message: it is written in the transaction that marks the event as consumed, outlives
// every crash, is repeated until Redis has answered, and changes of one product share one row.
import type { ConsumedEvent } from "../../mixins/channels/channel.ts";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import type { ProductCache } from "./product-cache.ts";

/** Longer than a reader's statement may take (3.5 s) before it stores what it has read. */
const SECOND_DELETE_DELAY_S = 4;
const INVALIDATIONS_PER_TURN_MAX = 500;

const SCHEDULE_TIME = sql("cache_invalidation.time", "SELECT NOW(3) + INTERVAL ? SECOND AS due_at");
const SCHEDULE = sql(
  "cache_invalidation.schedule",
  `INSERT INTO cache_invalidations (product_id, version, due_at) VALUES ?
   ON DUPLICATE KEY UPDATE version = GREATEST(version, VALUES(version)), due_at = VALUES(due_at)`,
);
const SELECT_DUE = sql(
  "cache_invalidation.due",
  `SELECT product_id, version FROM cache_invalidations
   WHERE due_at <= NOW(3) ORDER BY due_at LIMIT ?`,
);
const DELETE_DONE = sql(
  "cache_invalidation.done",
  "DELETE FROM cache_invalidations WHERE (product_id, version) IN (?)",
);

type Changed = ConsumedEvent<"product.changed.v1">;

/** The newest version of each product, by ascending id: rows are locked in one order everywhere. */
export function newestVersions(events: readonly Changed[]): Map<string, number> {
  const newest = new Map<string, number>();
  for (const { payload } of events) {
    const known = newest.get(payload.product_id) ?? 0;
    newest.set(payload.product_id, Math.max(known, payload.version));
  }
  return new Map([...newest].sort(([a], [b]) => (BigInt(a) < BigInt(b) ? -1 : 1)));
}

/** Schedules the second delete of each product in the transaction of the inbox rows. */
export async function scheduleSecondDelete(
  tx: Transaction,
  events: readonly Changed[],
): Promise<void> {
  const due = await tx.row<{ due_at: Date }>(SCHEDULE_TIME, [SECOND_DELETE_DELAY_S]);
  const rows = [...newestVersions(events)].map(([id, version]) => [id, version, due?.due_at]);
  await tx.run(SCHEDULE, [rows]);
}

/** Runs the second deletes that are due; those Redis did not answer stay for the next turn. Several
 * nodes at once do no harm. */
export async function runSecondDeletes(
  database: Database,
  cache: Pick<ProductCache, "outdate">,
): Promise<void> {
  const due = await database.rows<{ product_id: string; version: number }>(SELECT_DUE, [
    INVALIDATIONS_PER_TURN_MAX,
  ]);
  const outcomes = await Promise.all(due.map((row) => cache.outdate(row.product_id, row.version)));
  const done = due.filter((_, index) => outcomes[index] === true);
  if (done.length === 0) return;
  await database.run(DELETE_DONE, [done.map((row) => [BigInt(row.product_id), row.version])]);
}
