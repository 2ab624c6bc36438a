// What a process knows of its leased worker id, and the ids it may mint from it. No I/O, no timers:
// snowflake-ids.ts sends the requests.
//
// Two limits keep two processes apart. The *lease* (monotonic clock, counted from the moment the
// request was sent) says how long the worker id is ours; minting stops a margin before the database
// would give it to somebody else. The *high-water mark* (wall clock, stored with the lease) says up
// to which time ids may be minted; the next owner of the worker id starts above it, so that nothing
// depends on the clocks of two machines agreeing.
import { createSnowflakeCounter, type SnowflakeCounter } from "../../services/kernel/snowflake.ts";

/** Ids may be minted this far ahead of the newest renewal; bridges a restart of the lease table's
 * service. */
export const HIGH_WATER_AHEAD_MS = 10_000;
/** Minting stops this long before the lease ends. */
export const LEASE_MARGIN_MS = 2_000;

export interface WorkerLeaseRequest {
  readonly owner: string;
  readonly worker_id?: number;
  readonly high_water_ms: number;
}

export interface WorkerLeaseReply {
  readonly worker_id: number;
  readonly floor_ms: number;
  readonly high_water_ms: number;
  readonly lease_ms: number;
}

export class LeasedCounter {
  readonly #owner: string;
  #counter: SnowflakeCounter | undefined;
  #workerId: number | undefined;
  #floorMs = 0;
  /** Monotonic. */
  #usableUntilMs = Number.NEGATIVE_INFINITY;

  /** @param owner unique for each start of a process. */
  constructor(owner: string) {
    this.#owner = owner;
  }

  /** @param nowMs the wall clock. */
  request(nowMs: number): WorkerLeaseRequest {
    const newestMs = Math.max(nowMs, this.#counter?.lastMs() ?? 0);
    return {
      owner: this.#owner,
      ...(this.#workerId === undefined ? {} : { worker_id: this.#workerId }),
      high_water_ms: newestMs + HIGH_WATER_AHEAD_MS,
    };
  }

  /** Takes the reply to the newest request. Returns whether the worker id had been lost.
   * @param sentAtMs when that was sent, by the monotonic clock. */
  accept(reply: WorkerLeaseReply, sentAtMs: number): boolean {
    const window = {
      workerId: reply.worker_id,
      floorMs: reply.floor_ms,
      highWaterMs: reply.high_water_ms,
    };
    // The same worker id with another floor has had another owner in between.
    const isKept = reply.worker_id === this.#workerId && reply.floor_ms === this.#floorMs;
    const isLost = this.#counter !== undefined && !isKept;
    if (this.#counter === undefined) this.#counter = createSnowflakeCounter(window);
    else if (isKept) this.#counter.raise(reply.high_water_ms);
    else this.#counter.move(window);
    this.#workerId = reply.worker_id;
    this.#floorMs = reply.floor_ms;
    this.#usableUntilMs = sentAtMs + reply.lease_ms - LEASE_MARGIN_MS;
    return isLost;
  }

  isUsable(monotonicMs: number): boolean {
    return monotonicMs < this.#usableUntilMs;
  }

  /** The next id; undefined without a lease that surely holds, or when its window is used up. */
  next(nowMs: number, monotonicMs: number): string | undefined {
    return this.isUsable(monotonicMs) ? this.#counter?.next(nowMs) : undefined;
  }

  /** Mints nothing more until the next lease. */
  abandon(): void {
    this.#usableUntilMs = Number.NEGATIVE_INFINITY;
  }
}
