// Idempotency keys in the schema of the service that does the work. The key's row is inserted
// first, so that the unique key decides which of two equal requests works and which one waits.
//
// A request of one transaction: runIdempotent(). The row appears with its answer or not at all.
// A request of several steps (a saga): beginIdempotent() in the first transaction stores the
// reference the saga is found by, completeIdempotent() in its last one stores the answer. A crash
// in between leaves `running`: whoever asks again is told the reference.
//
//            ┌─ no row ──────────▶ fresh      (row inserted, state running)
//   begin ───┼─ other body ──────▶ IDEMPOTENCY_KEY_REUSED
//            ├─ state running ───▶ running    (reference)      ── complete ──▶ state done
//            └─ state done ──────▶ replay     (answer)
import {
  type ErrorSlug,
  errorDetails,
  errorSlug,
  ERROR_CATALOGUE,
  PlatformError,
} from "../../services/contracts/errors.ts";
import { assert } from "../../services/kernel/assert.ts";
import { DAY_MS } from "../../services/kernel/clock.ts";
import { type BatchLimits, deleteInBatches } from "../database/batched-deletes.ts";
import { type Database, sql, type Transaction } from "../database/database.ts";
import { withLockWait } from "../database/lock-wait.ts";
import { isDuplicateKey, isLockTimeout } from "../database/database-error.ts";
import type { IdempotencyClaim } from "./idempotency.ts";

/** A key names its operation this long; afterwards it may be used for another one. */
export const IDEMPOTENCY_KEPT_MS = DAY_MS;
const PURGE_BATCHES = { batchSizeMax: 500, batchesMax: 50 } as const;
/** Wait for another transaction with the same key; then the caller is told to come back. */
const LOCK_WAIT_S = 1;
const US_PER_MS = 1_000;

/** What a request was answered: its result, or an error of the client's making. */
export type StoredAnswer<T> =
  { readonly ok: T } | { readonly error: ErrorSlug; readonly details?: unknown };

export type IdempotentStart<T> =
  | { readonly kind: "fresh" }
  | { readonly kind: "running"; readonly reference: string }
  | { readonly kind: "replay"; readonly answer: StoredAnswer<T> };

export interface IdempotentResult<T> {
  readonly value: T;
  /** True when the value is the first request's answer, read from its key. */
  readonly isReplay: boolean;
}

interface KeyRow {
  readonly fingerprint: string;
  readonly state: "running" | "done";
  readonly reference: string | null;
  readonly answer: string | null;
  readonly is_expired: number | string;
}

const INSERT = sql(
  "idempotency.insert",
  withLockWait(
    LOCK_WAIT_S,
    `INSERT INTO idempotency_keys
       (user_id, route, idempotency_key, fingerprint, state, reference, expires_at)
     VALUES (?, ?, ?, ?, 'running', ?, NOW(3) + INTERVAL ? MICROSECOND)`,
  ),
);
const FIND = sql(
  "idempotency.find",
  `SELECT fingerprint, state, reference, answer, expires_at <= NOW(3) AS is_expired
   FROM idempotency_keys WHERE user_id = ? AND route = ? AND idempotency_key = ?`,
);
const REUSE_EXPIRED = sql(
  "idempotency.reuse_expired",
  `UPDATE idempotency_keys
   SET fingerprint = ?, state = 'running', reference = ?, answer = NULL,
       created_at = NOW(3), expires_at = NOW(3) + INTERVAL ? MICROSECOND
   WHERE user_id = ? AND route = ? AND idempotency_key = ?`,
);
const COMPLETE = sql(
  "idempotency.complete",
  `UPDATE idempotency_keys SET state = 'done', answer = ?
   WHERE user_id = ? AND route = ? AND idempotency_key = ? AND state = 'running'`,
);
const PURGE = sql(
  "idempotency.purge",
  "DELETE FROM idempotency_keys WHERE expires_at <= NOW(3) ORDER BY expires_at LIMIT ?",
);

/**
 * Runs `work` once per key, in the transaction that stores its value. Without a claim it just runs.
 * An error thrown by `work` undoes the key too: the same key may then be tried again. The value
 * must be plain JSON: a replay gives it back as it was stored.
 * Errors: IDEMPOTENCY_KEY_REUSED for another body, IDEMPOTENCY_IN_PROGRESS after at most a second.
 */
export async function runIdempotent<T>(
  tx: Transaction,
  claim: IdempotencyClaim | undefined,
  work: () => Promise<T>,
): Promise<IdempotentResult<T>> {
  if (claim === undefined) return { value: await work(), isReplay: false };
  const start = await beginIdempotent<T>(tx, claim, null);
  if (start.kind === "running") throw new PlatformError("IDEMPOTENCY_IN_PROGRESS");
  if (start.kind === "replay") return { value: valueOf(start.answer), isReplay: true };
  const value = await work();
  await completeIdempotent(tx, claim, { ok: value });
  return { value, isReplay: false };
}

/**
 * Takes the key for an operation of several transactions, or tells what came of it before.
 * @param reference what the operation is found by while it runs, such as an order id.
 * Errors: IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS when another transaction holds the key.
 */
export async function beginIdempotent<T>(
  tx: Transaction,
  claim: IdempotencyClaim,
  reference: string | null,
): Promise<IdempotentStart<T>> {
  const keptUs = IDEMPOTENCY_KEPT_MS * US_PER_MS;
  try {
    await tx.run(INSERT, [...keyOf(claim), claim.fingerprint, reference, keptUs]);
    return { kind: "fresh" };
  } catch (error) {
    if (isLockTimeout(error)) throw new PlatformError("IDEMPOTENCY_IN_PROGRESS");
    if (!isDuplicateKey(error, "PRIMARY")) throw error;
  }
  const row = await tx.row<KeyRow>(FIND, keyOf(claim));
  if (row === undefined) throw new PlatformError("IDEMPOTENCY_IN_PROGRESS");
  if (Number(row.is_expired) === 1) {
    await tx.run(REUSE_EXPIRED, [claim.fingerprint, reference, keptUs, ...keyOf(claim)]);
    return { kind: "fresh" };
  }
  if (row.fingerprint !== claim.fingerprint) throw new PlatformError("IDEMPOTENCY_KEY_REUSED");
  if (row.answer !== null) {
    return { kind: "replay", answer: JSON.parse(row.answer) as StoredAnswer<T> };
  }
  return { kind: "running", reference: row.reference ?? "" };
}

/** Stores the answer that every repetition gets. A second call changes nothing. */
export async function completeIdempotent<T>(
  tx: Transaction,
  claim: Pick<IdempotencyClaim, "userId" | "route" | "key">,
  answer: StoredAnswer<T>,
): Promise<void> {
  if ("error" in answer) {
    assert(ERROR_CATALOGUE[answer.error].status < 500, "a failure of ours is never a final answer");
  }
  await tx.run(COMPLETE, [JSON.stringify(answer), ...keyOf(claim)]);
}

/** The value of a stored answer; throws the error when that is what was answered. */
export function valueOf<T>(answer: StoredAnswer<T>): T {
  if ("error" in answer) throw new PlatformError(answer.error, answer.details);
  return answer.ok;
}

/** What may be stored of an error: a refusal (4xx) is final, a failure of ours (5xx) is not. */
export function refusalOf(error: unknown): StoredAnswer<never> | undefined {
  const slug = errorSlug(error);
  if (slug === undefined || ERROR_CATALOGUE[slug].status >= 500) return undefined;
  const details = errorDetails(error);
  return details === undefined ? { error: slug } : { error: slug, details };
}

/** Deletes keys that have run out, in bounded batches; answers how many. */
export async function purgeIdempotencyKeys(
  database: Database,
  limits: BatchLimits = PURGE_BATCHES,
): Promise<number> {
  return await deleteInBatches(limits, async (size) => {
    return (await database.run(PURGE, [size])).affectedRows;
  });
}

function keyOf({
  userId,
  route,
  key,
}: Pick<IdempotencyClaim, "userId" | "route" | "key">): readonly string[] {
  return [userId, route, key];
}
