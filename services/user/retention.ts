// Deletes what no longer decides anything: ended sessions, old revocations, throttles, reset tokens
// and mails. In bounded batches, so that no statement holds many locks.
import { deleteInBatches } from "../../mixins/database/batched-deletes.ts";
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../kernel/clock.ts";

export const RETENTION_INTERVAL_MS = 10 * MINUTE_MS;
const BATCH_SIZE_MAX = 500;
const BATCHES = { batchSizeMax: BATCH_SIZE_MAX, batchesMax: 20 } as const;
const US_PER_MS = 1_000;

/** An ended family is kept for the answer "used before" and for whoever looks into a theft. */
const FAMILY_KEPT_MS = DAY_MS;
/** Longer than any access token lives. */
const REVOCATION_KEPT_MS = HOUR_MS;
const RESET_KEPT_MS = DAY_MS;
const MAIL_KEPT_MS = 30 * DAY_MS;

const olderThan = (name: string, table: string, column: string): Statement =>
  sql(
    name,
    `DELETE FROM ${table} WHERE ${column} < NOW(3) - INTERVAL ? MICROSECOND
     ORDER BY ${column} LIMIT ${BATCH_SIZE_MAX}`,
  );

const FAMILIES_ENDED = sql(
  "refresh_families.ended",
  `SELECT id FROM refresh_families WHERE expires_at < NOW(3) - INTERVAL ? MICROSECOND
   ORDER BY expires_at LIMIT ${BATCH_SIZE_MAX}`,
);
const DELETE_TOKENS = sql(
  "refresh_tokens.delete",
  "DELETE FROM refresh_tokens WHERE family_id IN (?)",
);
const DELETE_FAMILIES = sql(
  "refresh_families.delete",
  "DELETE FROM refresh_families WHERE id IN (?)",
);

const PURGES = [
  [olderThan("revocations.purge", "revocations", "revoked_at"), REVOCATION_KEPT_MS],
  [olderThan("login_throttles.purge", "login_throttles", "window_ends_at"), 0],
  [olderThan("password_resets.purge", "password_resets", "expires_at"), RESET_KEPT_MS],
  [olderThan("mails.purge", "mails", "created_at"), MAIL_KEPT_MS],
] as const;

/** One turn. Harmless when several nodes do it at once. Returns how many rows it deleted. */
export async function purgeUserData(database: Database): Promise<number> {
  let deleted = await deleteInBatches(BATCHES, () => purgeFamilies(database));
  for (const [statement, keptMs] of PURGES) {
    deleted += await deleteInBatches(BATCHES, async () => {
      return (await database.run(statement, [keptMs * US_PER_MS])).affectedRows;
    });
  }
  return deleted;
}

async function purgeFamilies(database: Database): Promise<number> {
  return database.transaction("refresh_families.purge", async (tx) => {
    const rows = await tx.rows<{ id: string }>(FAMILIES_ENDED, [FAMILY_KEPT_MS * US_PER_MS]);
    if (rows.length === 0) return 0;
    const ids = rows.map((row) => row.id);
    await tx.run(DELETE_TOKENS, [ids]);
    await tx.run(DELETE_FAMILIES, [ids]);
    return rows.length;
  });
}
