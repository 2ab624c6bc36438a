// Deletes what the mock provider no longer needs: notifications that have ended, and charges that never
// became money. Captures and refunds are its ledger, which reconciliations ask for, and are kept.
import { type BatchLimits, deleteInBatches } from "../../../mixins/database/batched-deletes.ts";
import { type Database, sql } from "../../../mixins/database/database.ts";
import { DAY_MS, MINUTE_MS } from "../../kernel/clock.ts";

export const RETENTION_INTERVAL_MS = 10 * MINUTE_MS;
const BATCHES = { batchSizeMax: 500, batchesMax: 50 } as const;
/** Longer than a notification is tried, and than whoever looks for one looks back. */
const DELIVERY_KEPT_MS = 30 * DAY_MS;
/** Far longer than an order waits for its payment: a closed charge refuses one that comes late. */
const IDLE_CHARGE_KEPT_MS = 90 * DAY_MS;
const IDLE_STATUSES = ["open", "failed", "closed"] as const;
const US_PER_MS = 1_000;

const ENDED_DELIVERIES = sql(
  "provider.deliveries.purge",
  `DELETE FROM deliveries WHERE next_at IS NULL AND created_at < NOW(3) - INTERVAL ? MICROSECOND
   ORDER BY created_at LIMIT ?`,
);
const IDLE_CHARGES = sql(
  "provider.charges.purge",
  `DELETE FROM charges WHERE status = ? AND updated_at < NOW(3) - INTERVAL ? MICROSECOND
   ORDER BY updated_at LIMIT ?`,
);

/** One turn. Returns how many rows were deleted. */
export async function purgeProviderBooks(
  database: Database,
  limits: BatchLimits = BATCHES,
): Promise<number> {
  const keptUs = IDLE_CHARGE_KEPT_MS * US_PER_MS;
  let deleted = await deleteInBatches(limits, async (size) => {
    const params = [DELIVERY_KEPT_MS * US_PER_MS, size];
    return (await database.run(ENDED_DELIVERIES, params)).affectedRows;
  });
  for (const status of IDLE_STATUSES) {
    deleted += await deleteInBatches(limits, async (size) => {
      return (await database.run(IDLE_CHARGES, [status, keptUs, size])).affectedRows;
    });
  }
  return deleted;
}
