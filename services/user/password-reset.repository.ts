// One-time tokens that set a new password, and the mails that carry them.
import { sql, type Transaction } from "../../mixins/database/database.ts";
import { HOUR_MS, MINUTE_MS } from "../kernel/clock.ts";

export const RESET_LIFETIME_MS = 30 * MINUTE_MS;
/** More requests for one account in this time send nothing: nobody's mailbox is flooded. */
export const RESETS_PER_WINDOW_MAX = 3;
const RESET_WINDOW_MS = HOUR_MS;
const US_PER_MS = 1_000;

const COUNT_RECENT = sql(
  "password_resets.count_recent",
  `SELECT COUNT(*) AS recent FROM password_resets
   WHERE user_id = ? AND created_at > NOW(3) - INTERVAL ? MICROSECOND`,
);
const INSERT = sql(
  "password_resets.insert",
  `INSERT INTO password_resets (token_hash, user_id, created_at, expires_at)
   VALUES (?, ?, NOW(3), NOW(3) + INTERVAL ? MICROSECOND)`,
);
const INSERT_MAIL = sql(
  "mails.insert",
  "INSERT INTO mails (id, recipient, subject, body) VALUES (?, ?, ?, ?)",
);
const LOCK = sql(
  "password_resets.lock",
  `SELECT user_id FROM password_resets
   WHERE token_hash = ? AND user_id IS NOT NULL AND used_at IS NULL AND expires_at > NOW(3)
   FOR UPDATE`,
);
const USE_ALL = sql(
  "password_resets.use_all",
  "UPDATE password_resets SET used_at = NOW(3) WHERE user_id = ? AND used_at IS NULL",
);

export interface NewMail {
  readonly id: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
}

/** @param userId undefined for an unknown e-mail: the same statements run for it. */
export async function countRecentResets(
  tx: Transaction,
  userId: string | undefined,
): Promise<number> {
  const row = await tx.row<{ recent: string | number }>(COUNT_RECENT, [
    userId ?? "0",
    RESET_WINDOW_MS * US_PER_MS,
  ]);
  return Number(row?.recent ?? 0);
}

export async function insertReset(
  tx: Transaction,
  tokenHash: string,
  userId: string | undefined,
): Promise<void> {
  await tx.run(INSERT, [tokenHash, userId ?? null, RESET_LIFETIME_MS * US_PER_MS]);
}

export async function insertMail(tx: Transaction, mail: NewMail): Promise<void> {
  await tx.run(INSERT_MAIL, [mail.id, mail.recipient, mail.subject, mail.body]);
}

/** The user a usable token belongs to, with the token locked; undefined for any other token. */
export async function lockReset(tx: Transaction, tokenHash: string): Promise<string | undefined> {
  return (await tx.row<{ user_id: string }>(LOCK, [tokenHash]))?.user_id;
}

/** A password was set: every token still out there for this user is worth nothing now. */
export async function useAllResets(tx: Transaction, userId: string): Promise<void> {
  await tx.run(USE_ALL, [userId]);
}
