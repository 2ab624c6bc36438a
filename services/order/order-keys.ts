// The Idempotency-Keys of POST /orders, many in one statement: what mixins/idempotency does for one
// request, for a batch of orders that share a commit. A key's reference is its order's id.
import { type Queryable, sql, type Transaction } from "../../mixins/database/database.ts";
import { withLockWait } from "../../mixins/database/lock-wait.ts";
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
import { must } from "../kernel/assert.ts";

/** A key and the order it made. */
export interface KeyedOrder {
  readonly claim: IdempotencyClaim;
  readonly orderId: string;
}

export type KeyStart<T = OrderDto> = IdempotentStart<T> | { readonly kind: "reused" };

/** Of inserting a batch's keys; in between those in use are taken out. */
const ROUNDS_MAX = 3;
/** Wait for another transaction with one of the keys: the whole batch waits with it. */
const LOCK_WAIT_S = 1;

const COLUMNS =
  "user_id, route, idempotency_key, fingerprint, state, reference, answer, expires_at";

const INSERT = sql(
  "order.keys.insert",
  withLockWait(LOCK_WAIT_S, `INSERT INTO idempotency_keys (${COLUMNS}) VALUES ?`),
);

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

const FIND_USED = sql(
  "order.keys.find-used",
  `SELECT user_id, route, idempotency_key, fingerprint, state, reference, answer
   FROM idempotency_keys
   WHERE (user_id, route, idempotency_key) IN (?) AND expires_at > NOW(3)`,
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

/**
 * What each key's request may do, in order. The key's row comes first: it decides between equals. Keys
 * that are in use are taken out and the others inserted together again: one by one they would cost two
 * statements each, and buyers who ask again while the shop is slow bring a used key into every batch.
 */
export async function beginKeys(
  tx: Transaction,
  orders: readonly KeyedOrder[],
): Promise<readonly KeyStart[]> {
  const starts = new Map<KeyedOrder, KeyStart>();
  let open = oncePerKey(orders);
  for (let round = 0; round < ROUNDS_MAX && open.length > 0; round += 1) {
    if (await insertAll(tx, open)) {
      for (const order of open) starts.set(order, { kind: "fresh" });
    } else {
      for (const [order, start] of await findUsed(tx, open)) starts.set(order, start);
    }
    open = open.filter((order) => !starts.has(order));
  }
  // Expired, committed a moment ago, or twice in this batch.
  for (const order of orders) {
    if (!starts.has(order)) starts.set(order, await beginKey(tx, order.claim, order.orderId));
  }
  return orders.map((order) => must(starts.get(order), "a start of every key"));
}

/** The first order of each key. In one order on every node, so that batches do not wait in a circle. */
function oncePerKey(orders: readonly KeyedOrder[]): readonly KeyedOrder[] {
  const byKey = new Map<string, KeyedOrder>();
  for (const order of orders) {
    const name = nameOf(order.claim);
    if (!byKey.has(name)) byKey.set(name, order);
  }
  return [...byKey].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, order]) => order);
}

function nameOf({ userId, route, key }: Pick<IdempotencyClaim, "userId" | "route" | "key">) {
  return `${userId} ${route} ${key}`;
}

/** False when one of the keys is in use: then none is inserted. */
async function insertAll(tx: Transaction, orders: readonly KeyedOrder[]): Promise<boolean> {
  try {
    await tx.run(INSERT, [orders.map((order) => keyValues(order, null))]);
    return true;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    return false;
  }
}

async function findUsed(
  tx: Transaction,
  orders: readonly KeyedOrder[],
): Promise<readonly (readonly [KeyedOrder, KeyStart])[]> {
  const rows = await tx.rows<NamedKeyRow>(FIND_USED, [orders.map(({ claim }) => keyTuple(claim))]);
  const byName = new Map(
    rows.map((row) => [
      nameOf({ userId: row.user_id, route: row.route, key: row.idempotency_key }),
      row,
    ]),
  );
  return orders.flatMap((order) => {
    const row = byName.get(nameOf(order.claim));
    return row === undefined ? [] : [[order, startOf<OrderDto>(row, order.claim)] as const];
  });
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
    orders.map(({ claim }) => keyTuple(claim)),
    orders.map(({ orderId }) => orderId),
  ]);
}

function keyTuple({ userId, route, key }: IdempotencyClaim): readonly unknown[] {
  return [BigInt(userId), route, key];
}

interface KeyRow {
  readonly fingerprint: string;
  readonly state: "running" | "done";
  readonly reference: string;
  readonly answer: string | null;
}

interface NamedKeyRow extends KeyRow {
  readonly user_id: string;
  readonly route: string;
  readonly idempotency_key: string;
}

/** What became of an earlier request with this key; `fresh` when there was none. */
export async function findKey<T>(
  database: Queryable,
  claim: IdempotencyClaim,
): Promise<KeyStart<T>> {
  const row = await database.row<KeyRow>(FIND, [claim.userId, claim.route, claim.key]);
  if (row === undefined) return { kind: "fresh" };
  return startOf(row, claim);
}

function startOf<T>(row: KeyRow, { fingerprint }: IdempotencyClaim): KeyStart<T> {
  if (row.fingerprint !== fingerprint) return { kind: "reused" };
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
