// The Idempotency-Keys of POST /orders, many in one statement: what mixins/idempotency does for one
// request, for a batch of orders that share a commit. A key's reference is its order's id.
import { type Queryable, sql, type Transaction } from "../../mixins/database/database.ts";
import { isDuplicateKey } from "../../mixins/database/database-error.ts";
import {
  beginIdempotent,
  IDEMPOTENCY_KEPT_MS,
  type IdempotentStart,
  type StoredAnswer,
  valueOf,
} from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { isPlatformError, PlatformError } from "../contracts/errors.ts";
import type { Order as OrderDto } from "../contracts/order.ts";

/** A key and the order it made. */
export interface KeyedOrder {
  readonly claim: IdempotencyClaim;
  readonly orderId: string;
}

export type KeyStart<T = OrderDto> = IdempotentStart<T> | { readonly kind: "reused" };

const COLUMNS =
  "user_id, route, idempotency_key, fingerprint, state, reference, answer, expires_at";

const INSERT = sql("order.keys.insert", `INSERT INTO idempotency_keys (${COLUMNS}) VALUES ?`);

const COMPLETE = sql(
  "order.keys.complete",
  `INSERT INTO idempotency_keys (${COLUMNS}) VALUES ?
   ON DUPLICATE KEY UPDATE
     answer = IF(reference = VALUES(reference), VALUES(answer), answer),
     state = IF(reference = VALUES(reference), 'done', state)`,
);

// Only the order that holds the key may free it: its buyer may have used it for another one since.
// The user's id must go in as a number: text makes a floating-point number of both sides.
const FREE = sql(
  "order.keys.free",
  `DELETE FROM idempotency_keys
   WHERE (user_id, route, idempotency_key) IN (?) AND state = 'running' AND reference IN (?)`,
);

const FIND = sql(
  "order.keys.find",
  `SELECT fingerprint, state, reference, answer FROM idempotency_keys
   WHERE user_id = ? AND route = ? AND idempotency_key = ? AND expires_at > NOW(3)`,
);

const US_PER_MS = 1_000;
/** The database's clock decides when a key expires. */
const EXPIRY = {
  toSqlString: () => `NOW(3) + INTERVAL ${IDEMPOTENCY_KEPT_MS * US_PER_MS} MICROSECOND`,
};

function keyValues({ claim, orderId }: KeyedOrder, answer: string | null): readonly unknown[] {
  const state = answer === null ? "running" : "done";
  const { userId, route, key, fingerprint } = claim;
  return [userId, route, key, fingerprint, state, orderId, answer, EXPIRY];
}

/** What each key's request may do, in order. The key's row comes first: it decides between equals. */
export async function beginKeys(
  tx: Transaction,
  orders: readonly KeyedOrder[],
): Promise<readonly KeyStart[]> {
  try {
    await tx.run(INSERT, [orders.map((order) => keyValues(order, null))]);
    return orders.map(() => ({ kind: "fresh" }));
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
  const starts: KeyStart[] = [];
  for (const { claim, orderId } of orders) starts.push(await beginKey(tx, claim, orderId));
  return starts;
}

async function beginKey(
  tx: Transaction,
  claim: IdempotencyClaim,
  orderId: string,
): Promise<KeyStart> {
  try {
    return await beginIdempotent<OrderDto>(tx, claim, orderId);
  } catch (error) {
    if (!isPlatformError(error, "IDEMPOTENCY_KEY_REUSED")) throw error;
    return { kind: "reused" };
  }
}

export interface KeyAnswer extends KeyedOrder {
  readonly answer: StoredAnswer<OrderDto>;
}

/** Stores what the keys' requests are answered, now and whenever they come again. */
export async function completeKeys(tx: Transaction, answers: readonly KeyAnswer[]): Promise<void> {
  if (answers.length === 0) return;
  await tx.run(COMPLETE, [answers.map((entry) => keyValues(entry, JSON.stringify(entry.answer)))]);
}

/** Forgets keys whose orders came to nothing through no fault of the buyer: he may try again. */
export async function freeKeys(tx: Transaction, orders: readonly KeyedOrder[]): Promise<void> {
  if (orders.length === 0) return;
  await tx.run(FREE, [
    orders.map(({ claim }) => [BigInt(claim.userId), claim.route, claim.key]),
    orders.map(({ orderId }) => orderId),
  ]);
}

interface KeyRow {
  readonly fingerprint: string;
  readonly state: "running" | "done";
  readonly reference: string;
  readonly answer: string | null;
}

/** What became of an earlier request with this key; `fresh` when there was none. */
export async function findKey<T>(
  database: Queryable,
  claim: IdempotencyClaim,
): Promise<KeyStart<T>> {
  const row = await database.row<KeyRow>(FIND, [claim.userId, claim.route, claim.key]);
  if (row === undefined) return { kind: "fresh" };
  if (row.fingerprint !== claim.fingerprint) return { kind: "reused" };
  if (row.answer === null) return { kind: "running", reference: row.reference };
  return { kind: "replay", answer: JSON.parse(row.answer) as StoredAnswer<T> };
}

/** The answer of a request whose key was used before. Errors: that answer when it is one,
 * IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS. */
export function answerAgain<T>(start: Exclude<KeyStart<T>, { kind: "fresh" }>): T {
  if (start.kind === "reused") throw new PlatformError("IDEMPOTENCY_KEY_REUSED");
  if (start.kind === "running") throw new PlatformError("IDEMPOTENCY_IN_PROGRESS");
  return valueOf(start.answer);
}
