// The leases of worker ids: the one place that says which process mints ids with which worker id.
import { PlatformError } from "../contracts/errors.ts";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { grantWorkerLease, WORKER_LEASE_MS, type WorkerLeaseRow } from "./domain/worker-lease.ts";

const COLUMNS = `worker_id, owner, UNIX_TIMESTAMP(lease_until) * 1000 AS lease_until_ms, floor_ms,
  high_water_ms, UNIX_TIMESTAMP(NOW(3)) * 1000 AS now_ms`;

// One owner has at most one worker id (unique key), so a repeated request finds the first one's.
const LOCK_OWN = sql(
  "worker_leases.lock_own",
  `SELECT ${COLUMNS} FROM worker_leases WHERE owner = ? FOR UPDATE`,
);
// The id that lay unused longest: its high-water mark is the furthest in the past.
const LOCK_FREE = sql(
  "worker_leases.lock_free",
  `SELECT ${COLUMNS} FROM worker_leases WHERE lease_until < NOW(3)
   ORDER BY lease_until, worker_id LIMIT 1 FOR UPDATE SKIP LOCKED`,
);
const STORE = sql(
  "worker_leases.store",
  `UPDATE worker_leases
   SET owner = ?, lease_until = FROM_UNIXTIME(? / 1000), floor_ms = ?, high_water_ms = ?
   WHERE worker_id = ?`,
);

interface LeaseColumns {
  readonly worker_id: number;
  readonly owner: string | null;
  readonly lease_until_ms: string;
  readonly floor_ms: string;
  readonly high_water_ms: string;
  readonly now_ms: string;
}

export interface WorkerLease {
  readonly worker_id: number;
  readonly floor_ms: number;
  readonly high_water_ms: number;
  readonly lease_ms: number;
}

export interface WorkerLeaseRepository {
  /** Renews the lease `owner` holds, else gives it a free worker id. Errors: OVERLOADED when all
   * worker ids are held. */
  lease(owner: string, highWaterMs: number): Promise<WorkerLease>;
}

export function createWorkerLeaseRepository(database: Database): WorkerLeaseRepository {
  async function leaseIn(tx: Transaction, owner: string, highWaterMs: number) {
    const found =
      (await tx.row<LeaseColumns>(LOCK_OWN, [owner])) ?? (await tx.row<LeaseColumns>(LOCK_FREE));
    if (found === undefined) throw new PlatformError("OVERLOADED");
    const granted = grantWorkerLease(rowOf(found), { owner, highWaterMs }, Number(found.now_ms));
    if (granted === undefined) throw new PlatformError("OVERLOADED");
    await tx.run(STORE, [
      granted.owner,
      granted.leaseUntilMs,
      granted.floorMs,
      granted.highWaterMs,
      granted.workerId,
    ]);
    return {
      worker_id: granted.workerId,
      floor_ms: granted.floorMs,
      high_water_ms: granted.highWaterMs,
      lease_ms: WORKER_LEASE_MS,
    };
  }

  return {
    lease: (owner, highWaterMs) =>
      database.transaction("worker_leases.lease", (tx) => leaseIn(tx, owner, highWaterMs)),
  };
}

function rowOf(columns: LeaseColumns): WorkerLeaseRow {
  return {
    workerId: columns.worker_id,
    owner: columns.owner ?? "",
    leaseUntilMs: Math.floor(Number(columns.lease_until_ms)),
    floorMs: Number(columns.floor_ms),
    highWaterMs: Number(columns.high_water_ms),
  };
}
