// Who may mint ids under which worker id, and up to which time. Pure; the rows are locked by the
// repository and all times are the database's.

/** How long a lease holds after its last renewal. */
export const WORKER_LEASE_MS = 15_000;
/** An owner whose clock is ahead may not push a worker id's high-water mark further than this
 * beyond the database's time, or the id would be of no use to its next owner. */
export const HIGH_WATER_AHEAD_MS_MAX = 60_000;
/** Room above the floor that a new owner gets even when its clock is behind the floor. */
const NEW_OWNER_ROOM_MS = 3_000;

export interface WorkerLeaseRow {
  readonly workerId: number;
  /** Empty when nobody ever held it. */
  readonly owner: string;
  readonly leaseUntilMs: number;
  /** The owner mints ids only with times above it: the high-water mark of the owner before. */
  readonly floorMs: number;
  readonly highWaterMs: number;
}

/** The row as `owner` gets or keeps it; undefined while another owner's lease holds. */
export function grantWorkerLease(
  row: WorkerLeaseRow,
  request: { readonly owner: string; readonly highWaterMs: number },
  nowMs: number,
): WorkerLeaseRow | undefined {
  const isRenewal = row.owner === request.owner;
  if (!isRenewal && row.leaseUntilMs > nowMs) return undefined;
  const asked = Math.min(request.highWaterMs, nowMs + HIGH_WATER_AHEAD_MS_MAX);
  const least = row.highWaterMs + (isRenewal ? 0 : NEW_OWNER_ROOM_MS);
  return {
    workerId: row.workerId,
    owner: request.owner,
    leaseUntilMs: nowMs + WORKER_LEASE_MS,
    floorMs: isRenewal ? row.floorMs : row.highWaterMs,
    highWaterMs: Math.max(least, asked),
  };
}
