// Deletes rules that have been off for long: whoever was taken off a list, limits taken away. Nodes have
// followed them within a second; switches and API clients stay, for their last word is shown. The
// record of changes is kept: the service may not delete it.
import { type BatchLimits, deleteInBatches } from "../../mixins/database/batched-deletes.ts";
import { type Database, sql } from "../../mixins/database/database.ts";
import { BUYER_LISTS, type RuleKind } from "../contracts/operations.ts";
import { DAY_MS, MINUTE_MS } from "../kernel/clock.ts";

export const RETENTION_INTERVAL_MS = 10 * MINUTE_MS;
const BATCHES = { batchSizeMax: 500, batchesMax: 50 } as const;
/** Far longer than a node can be away and still come back with what it knew. */
const OFF_KEPT_MS = 30 * DAY_MS;
const FORGOTTEN_KINDS: readonly RuleKind[] = [...BUYER_LISTS, "limit_sku"];
const US_PER_MS = 1_000;

const OFF = sql(
  "rules.purge",
  `DELETE FROM rules
   WHERE is_on = 0 AND kind IN (?) AND changed_at < NOW(3) - INTERVAL ? MICROSECOND
   ORDER BY seq LIMIT ?`,
);

/** One turn. Returns how many rules were deleted. */
export async function purgeRules(
  database: Database,
  limits: BatchLimits = BATCHES,
): Promise<number> {
  return await deleteInBatches(limits, async (size) => {
    const params = [FORGOTTEN_KINDS, OFF_KEPT_MS * US_PER_MS, size];
    return (await database.run(OFF, params)).affectedRows;
  });
}
