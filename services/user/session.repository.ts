// Sessions: families of refresh tokens and the list of those that ended early. Locks are taken in
// one order: user, family (by id), revocation counter.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { ACCESS_TOKEN_LIFETIME_S } from "../../mixins/auth/tokens.ts";
import { REVOCATIONS_MAX, type Revocation } from "../contracts/user.ts";
import { MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import { FAMILY_LIFETIME_MS, type PresentedToken } from "./domain/refresh.ts";

/** An access token made longer ago has ended by itself; more than its life, for two clocks. */
const ACCESS_TOKEN_GONE_MS = ACCESS_TOKEN_LIFETIME_S * SECOND_MS + 5 * MINUTE_MS;
export const SESSIONS_PER_USER_MAX = 100;
/** Sessions ended by one transaction; far above SESSIONS_PER_USER_MAX. */
const REVOKE_BATCH_MAX = 1_000;
const US_PER_MS = 1_000;

export type RevokeReason = "logout" | "reuse" | "password" | "too_many";

const INSERT_FAMILY = sql(
  "refresh_families.insert",
  `INSERT INTO refresh_families (id, user_id, created_at, last_issued_at, expires_at)
   VALUES (?, ?, NOW(3), NOW(3), NOW(3) + INTERVAL ? MICROSECOND)`,
);
const INSERT_TOKEN = sql(
  "refresh_tokens.insert",
  `INSERT INTO refresh_tokens (token_hash, family_id, parent_hash, created_at)
   VALUES (?, ?, ?, NOW(3))`,
);
const FIND_FAMILY_OF = sql(
  "refresh_tokens.find_family",
  "SELECT family_id FROM refresh_tokens WHERE token_hash = ?",
);
const LOCK_FAMILY = sql(
  "refresh_families.lock",
  `SELECT id, user_id, revoked_at IS NOT NULL AS is_revoked, expires_at <= NOW(3) AS is_expired
   FROM refresh_families WHERE id = ? FOR UPDATE`,
);
const FIND_TOKEN = sql(
  "refresh_tokens.find",
  `SELECT t.parent_hash, TIMESTAMPDIFF(MICROSECOND, t.spent_at, NOW(3)) AS spent_for_us,
     (SELECT COUNT(*) FROM refresh_tokens c WHERE c.parent_hash = t.token_hash) AS successors
   FROM refresh_tokens t WHERE t.token_hash = ?`,
);
const SPEND = sql(
  "refresh_tokens.spend",
  "UPDATE refresh_tokens SET spent_at = NOW(3) WHERE token_hash = ? AND spent_at IS NULL",
);
const SPEND_SIBLINGS = sql(
  "refresh_tokens.spend_siblings",
  "UPDATE refresh_tokens SET spent_at = NOW(3) WHERE parent_hash = ? AND spent_at IS NULL",
);
const TOUCH_FAMILY = sql(
  "refresh_families.touch",
  "UPDATE refresh_families SET last_issued_at = NOW(3) WHERE id = ?",
);
const LOCK_LIVE = sql(
  "refresh_families.lock_live",
  `SELECT id, last_issued_at > NOW(3) - INTERVAL ? MICROSECOND AS has_access_token
   FROM refresh_families WHERE user_id = ? AND revoked_at IS NULL AND expires_at > NOW(3)
   ORDER BY id LIMIT ? FOR UPDATE`,
);
const REVOKE = sql(
  "refresh_families.revoke",
  `UPDATE refresh_families SET revoked_at = NOW(3), revoked_reason = ?
   WHERE id IN (?) AND revoked_at IS NULL`,
);
const NEXT_SEQUENCES = sql(
  "revocation_counter.next",
  "UPDATE revocation_counter SET seq = LAST_INSERT_ID(seq + ?) WHERE id = 1",
);
const LIST_REVOCATION = sql(
  "revocations.insert",
  "INSERT INTO revocations (seq, family_id, revoked_at) VALUES (?, ?, NOW(3))",
);
const REVOCATIONS_AFTER = sql(
  "revocations.after",
  `SELECT seq, family_id, user_id, revoked_at FROM revocations WHERE seq > ?
   ORDER BY seq LIMIT ?`,
);

export interface LockedToken extends PresentedToken {
  readonly familyId: string;
  readonly userId: string;
  readonly parentHash: string | null;
}

interface FamilyRow {
  readonly id: string;
  readonly user_id: string;
  readonly is_revoked: number;
  readonly is_expired: number;
}

interface TokenRow {
  readonly parent_hash: string | null;
  readonly spent_for_us: string | number | null;
  readonly successors: string | number;
}

/** Begins a session. The caller holds the user's lock. */
export async function insertFamily(
  tx: Transaction,
  family: { readonly id: string; readonly userId: string; readonly tokenHash: string },
): Promise<void> {
  const { id, userId, tokenHash } = family;
  const live = await lockLive(tx, userId);
  const surplus = live.slice(0, Math.max(0, live.length + 1 - SESSIONS_PER_USER_MAX));
  await revoke(tx, surplus, "too_many");
  await tx.run(INSERT_FAMILY, [id, userId, FAMILY_LIFETIME_MS * US_PER_MS]);
  await tx.run(INSERT_TOKEN, [tokenHash, id, null]);
}

/** The token with its family locked; undefined when there is no such token. */
export async function lockToken(
  tx: Transaction,
  tokenHash: string,
): Promise<LockedToken | undefined> {
  const found = await tx.row<{ family_id: string }>(FIND_FAMILY_OF, [tokenHash]);
  if (found === undefined) return undefined;
  const family = await tx.row<FamilyRow>(LOCK_FAMILY, [found.family_id]);
  // Read again behind the lock: the request it waited for may have spent the token.
  const token = await tx.row<TokenRow>(FIND_TOKEN, [tokenHash]);
  if (family === undefined || token === undefined) return undefined;
  return {
    familyId: family.id,
    userId: family.user_id,
    parentHash: token.parent_hash,
    spentForMs: token.spent_for_us === null ? undefined : Number(token.spent_for_us) / US_PER_MS,
    successors: Number(token.successors),
    familyIsRevoked: family.is_revoked === 1,
    familyIsExpired: family.is_expired === 1,
  };
}

/** Spends the presented token, and its siblings with it, and stores a successor. */
export async function rotateToken(
  tx: Transaction,
  token: LockedToken,
  { presentedHash, successorHash }: { presentedHash: string; successorHash: string },
): Promise<void> {
  await tx.run(SPEND, [presentedHash]);
  if (token.parentHash !== null) await tx.run(SPEND_SIBLINGS, [token.parentHash]);
  await tx.run(INSERT_TOKEN, [successorHash, token.familyId, presentedHash]);
  await tx.run(TOUCH_FAMILY, [token.familyId]);
}

/** Ends one session and lists it, also one that has no rows here. */
export async function revokeFamily(
  tx: Transaction,
  familyId: string,
  reason: RevokeReason,
): Promise<void> {
  await revoke(tx, [{ id: familyId, hasAccessToken: true }], reason);
}

/** Ends all sessions of a user. The caller holds the user's lock, so that none begins meanwhile. */
export async function revokeAllOf(
  tx: Transaction,
  userId: string,
  reason: RevokeReason,
): Promise<void> {
  await revoke(tx, await lockLive(tx, userId), reason);
}

interface LiveFamily {
  readonly id: string;
  readonly hasAccessToken: boolean;
}

async function lockLive(tx: Transaction, userId: string): Promise<LiveFamily[]> {
  const rows = await tx.rows<{ id: string; has_access_token: number }>(LOCK_LIVE, [
    ACCESS_TOKEN_GONE_MS * US_PER_MS,
    userId,
    REVOKE_BATCH_MAX,
  ]);
  return rows.map(({ id, has_access_token }) => ({ id, hasAccessToken: has_access_token === 1 }));
}

async function revoke(
  tx: Transaction,
  families: readonly LiveFamily[],
  reason: RevokeReason,
): Promise<void> {
  if (families.length === 0) return;
  await tx.run(REVOKE, [reason, families.map((family) => family.id)]);
  const told = families.filter((family) => family.hasAccessToken);
  if (told.length === 0) return;
  const last = Number((await tx.run(NEXT_SEQUENCES, [told.length])).insertId);
  for (const [index, { id }] of told.entries()) {
    await tx.run(LIST_REVOCATION, [last - told.length + 1 + index, id]);
  }
}

/** Revocations with a higher sequence number, oldest first, at most REVOCATIONS_MAX. */
export async function revocationsAfter(
  database: Database,
  afterSeq: number,
): Promise<Revocation[]> {
  const rows = await database.rows<{
    seq: string;
    family_id: string | null;
    user_id: string | null;
    revoked_at: Date;
  }>(REVOCATIONS_AFTER, [afterSeq, REVOCATIONS_MAX]);
  return rows.map(({ seq, family_id, user_id, revoked_at }) => ({
    seq: Number(seq),
    family_id,
    user_id,
    revoked_at: revoked_at.toISOString(),
  }));
}
