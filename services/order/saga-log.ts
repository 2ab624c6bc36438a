// The order service's sagas in the table `sagas`, in batches: orders that share a commit share
// their sagas' statements. A saga is found by whoever comes when `next_at` has passed; while a node
// works on it, that is the end of its lease. All times are the database's.
import {
  type Database,
  type Queryable,
  sql,
  type Transaction,
} from "../../mixins/database/database.ts";
import { byNumericId } from "./order.rows.ts";

/** `place-order`: see place-order.saga.ts. `close-order`: see close-order.saga.ts. */
export type OrderSagaType = "place-order" | "close-order";

export interface NewSaga {
  /** The order's id. */
  readonly id: string;
  readonly type: OrderSagaType;
  /** Whatever the one who takes it over needs besides the order. */
  readonly context: object;
}

export interface ClaimedSaga {
  readonly id: string;
  readonly status: "running" | "compensating";
  readonly context: unknown;
  /** Failed tries before this one. */
  readonly attempts: number;
}

/** Sagas one node takes at once. */
export const SAGA_CLAIM_MAX = 200;
const ERROR_LENGTH_MAX = 500;
const US_PER_MS = 1_000;

const INSERT = sql(
  "order.sagas.insert",
  `INSERT INTO sagas (id, type, status, log, context, lease_owner, lease_until, next_at) VALUES ?`,
);

const FINISH = sql(
  "order.sagas.finish",
  `UPDATE sagas SET status = ?, next_at = NULL, lease_owner = NULL, lease_until = NULL,
          version = version + 1, updated_at = NOW(3)
   WHERE type = ? AND id IN (?) AND next_at IS NOT NULL`,
);

const COMPENSATE = sql(
  "order.sagas.compensate",
  `UPDATE sagas SET status = 'compensating', lease_owner = NULL, lease_until = NULL,
          next_at = NOW(3), attempts = 0, version = version + 1, updated_at = NOW(3)
   WHERE type = ? AND id IN (?) AND status = 'running'`,
);

const FIND_DUE = sql(
  "order.sagas.find-due",
  "SELECT id, type FROM sagas WHERE next_at <= NOW(3) ORDER BY next_at LIMIT ?",
);

const LOCK_DUE = sql(
  "order.sagas.lock-due",
  `SELECT id, status, context, attempts FROM sagas FORCE INDEX (PRIMARY)
   WHERE type = ? AND id IN (?) AND next_at <= NOW(3) ORDER BY id FOR UPDATE SKIP LOCKED`,
);

const LEASE = sql(
  "order.sagas.lease",
  `UPDATE sagas SET lease_owner = ?, lease_until = NOW(3) + INTERVAL ? MICROSECOND,
          next_at = NOW(3) + INTERVAL ? MICROSECOND, version = version + 1, updated_at = NOW(3)
   WHERE type = ? AND id IN (?)`,
);

const POSTPONE = sql(
  "order.sagas.postpone",
  `UPDATE sagas SET lease_owner = NULL, lease_until = NULL, attempts = attempts + 1,
          last_error = ?, next_at = NOW(3) + INTERVAL ? MICROSECOND, version = version + 1,
          updated_at = NOW(3)
   WHERE type = ? AND id IN (?) AND next_at IS NOT NULL`,
);

export interface Lease {
  /** Names the node in the table, for people. */
  readonly owner: string;
  readonly leaseMs: number;
}

export async function startSagas(
  tx: Transaction,
  sagas: readonly NewSaga[],
  { owner, leaseMs }: Lease,
): Promise<void> {
  if (sagas.length === 0) return;
  const end = { toSqlString: () => `NOW(3) + INTERVAL ${leaseMs * US_PER_MS} MICROSECOND` };
  await tx.run(INSERT, [
    sagas.map(({ id, type, context }) => [
      id,
      type,
      "running",
      "[]",
      JSON.stringify(context),
      owner,
      end,
      end,
    ]),
  ]);
}

export async function finishSagas(
  tx: Queryable,
  type: OrderSagaType,
  { ids, status }: { ids: readonly string[]; status: "done" | "compensated" },
): Promise<void> {
  if (ids.length > 0) await tx.run(FINISH, [status, type, ids]);
}

/** From now on these sagas go backwards, whoever does it. */
export async function compensateSagas(
  tx: Transaction,
  type: OrderSagaType,
  ids: readonly string[],
): Promise<void> {
  if (ids.length > 0) await tx.run(COMPENSATE, [type, ids]);
}

/** Types that have sagas nobody works on, with their ids, oldest first; without locks. */
export async function findDueSagas(
  database: Database,
  limit: number,
): Promise<ReadonlyMap<OrderSagaType, readonly string[]>> {
  const rows = await database.rows<{ id: string; type: OrderSagaType }>(FIND_DUE, [limit]);
  const byType = Map.groupBy(rows, ({ type }) => type);
  return new Map([...byType].map(([type, found]) => [type, found.map(({ id }) => id)]));
}

/** Takes those of these sagas that are still due; others take the rest at the same time. */
export async function claimSagas(
  database: Database,
  { type, ids, lease }: { type: OrderSagaType; ids: readonly string[]; lease: Lease },
): Promise<readonly ClaimedSaga[]> {
  const sorted = [...ids].sort(byNumericId);
  return await database.transaction("order.sagas.claim", async (tx) => {
    const rows = await tx.rows<SagaRow>(LOCK_DUE, [type, sorted]);
    if (rows.length === 0) return [];
    const leaseUs = lease.leaseMs * US_PER_MS;
    await tx.run(LEASE, [lease.owner, leaseUs, leaseUs, type, rows.map(({ id }) => id)]);
    return rows.map((row) => ({ ...row, context: JSON.parse(row.context) as unknown }));
  });
}

interface SagaRow {
  readonly id: string;
  readonly status: "running" | "compensating";
  readonly context: string;
  readonly attempts: number;
}

/** Gives sagas whose step failed back, to be tried again after `delayMs`. */
export async function postponeSagas(
  database: Database,
  type: OrderSagaType,
  { ids, delayMs, error }: { ids: readonly string[]; delayMs: number; error: unknown },
): Promise<void> {
  if (ids.length === 0) return;
  const text = (error instanceof Error ? error.message : String(error)).slice(0, ERROR_LENGTH_MAX);
  await database.run(POSTPONE, [text, delayMs * US_PER_MS, type, ids]);
}
