// The process's ids: one leased worker id, renewed every second, minted from only while the lease
// surely holds. Never mints on a guess: without a lease next() refuses with SERVICE_UNAVAILABLE.
//
// Two limits keep two processes apart. The *lease* (monotonic clock, counted from the moment the
// call was sent) says how long the worker id is ours; minting stops a margin before the database
// would give it to somebody else. The *high-water mark* (wall clock, stored with the lease) says up
// to which time ids may be minted; the next owner of the worker id starts above it, so that nothing
// depends on the clocks of two machines agreeing.
import { PlatformError } from "../../services/contracts/errors.ts";
import { type Backoff, backoffDelayMs } from "../../services/kernel/backoff.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import type { IdGenerator } from "../../services/kernel/ids.ts";
import { createSnowflakeCounter, type SnowflakeCounter } from "../../services/kernel/snowflake.ts";
import type { Log } from "../log.ts";

/** Ids may be minted this far ahead of the newest renewal; bridges a restart of the lease table's
 * service. */
export const HIGH_WATER_AHEAD_MS = 10_000;
export const RENEW_INTERVAL_MS = 1_000;
/** Minting stops this long before the lease ends. */
export const LEASE_MARGIN_MS = 2_000;
const RETRY: Backoff = { baseMs: 50, maxMs: 1_000 };

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

export interface SnowflakeIdsOptions {
  readonly lease: (request: WorkerLeaseRequest) => Promise<WorkerLeaseReply>;
  readonly clock: Clock;
  /** Unique for each start of a process: a restarted node is another owner. */
  readonly owner: string;
  readonly log: Log;
  readonly random: () => number;
}

export interface LeasedIds extends IdGenerator {
  /** Begins to lease and renew, for as long as it takes; resolves with the first lease. */
  start(): Promise<void>;
  /** Ends renewing; ids minted before stay unique, next() refuses from now on. */
  stop(): void;
  /** Rejects with SERVICE_UNAVAILABLE while no id can be minted. */
  probe(): Promise<void>;
}

export function createIds(options: SnowflakeIdsOptions): LeasedIds {
  return new SnowflakeIds(options);
}

class SnowflakeIds implements LeasedIds {
  readonly #options: SnowflakeIdsOptions;
  #counter: SnowflakeCounter | undefined;
  #workerId: number | undefined;
  #floorMs = 0;
  /** Monotonic; -Infinity while there is no lease. */
  #usableUntilMs = Number.NEGATIVE_INFINITY;
  #isStopped = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #firstLease = Promise.withResolvers<undefined>();
  #isStarted = false;

  constructor(options: SnowflakeIdsOptions) {
    this.#options = options;
  }

  next(): string {
    const { clock } = this.#options;
    if (clock.monotonic() >= this.#usableUntilMs) throw new PlatformError("SERVICE_UNAVAILABLE");
    const id = this.#counter?.next(clock.now());
    if (id === undefined) throw new PlatformError("SERVICE_UNAVAILABLE");
    return id;
  }

  start(): Promise<void> {
    if (!this.#isStarted) {
      this.#isStarted = true;
      void this.#turn();
    }
    return this.#firstLease.promise;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#usableUntilMs = Number.NEGATIVE_INFINITY;
    this.#firstLease.resolve(undefined);
  }

  async probe(): Promise<void> {
    if (this.#options.clock.monotonic() >= this.#usableUntilMs) {
      return Promise.reject(new PlatformError("SERVICE_UNAVAILABLE"));
    }
    return Promise.resolve();
  }

  /** One lease or renewal, then the next; never two at once. */
  async #turn(): Promise<void> {
    const delayMs = await this.#leaseOnce().then(
      () => {
        this.#failures = 0;
        this.#firstLease.resolve(undefined);
        return RENEW_INTERVAL_MS;
      },
      (error: unknown) => {
        this.#failures += 1;
        this.#options.log.debug({ err: error }, "worker id could not be leased");
        return backoffDelayMs(RETRY, this.#failures, this.#options.random);
      },
    );
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#turn(), delayMs);
    this.#timer.unref();
  }

  async #leaseOnce(): Promise<void> {
    const { clock, lease, owner } = this.#options;
    const sentAtMs = clock.monotonic();
    const newestMs = Math.max(clock.now(), this.#counter?.lastMs() ?? 0);
    const reply = await lease({
      owner,
      ...(this.#workerId === undefined ? {} : { worker_id: this.#workerId }),
      high_water_ms: newestMs + HIGH_WATER_AHEAD_MS,
    });
    if (this.#isStopped) return;
    this.#take(reply);
    this.#usableUntilMs = sentAtMs + reply.lease_ms - LEASE_MARGIN_MS;
  }

  #take(reply: WorkerLeaseReply): void {
    const window = {
      workerId: reply.worker_id,
      floorMs: reply.floor_ms,
      highWaterMs: reply.high_water_ms,
    };
    if (this.#counter === undefined) {
      this.#counter = createSnowflakeCounter(window);
    } else if (reply.worker_id === this.#workerId && reply.floor_ms === this.#floorMs) {
      this.#counter.raise(reply.high_water_ms);
    } else {
      // The same worker id with another floor has had another owner in between.
      this.#options.log.warn({ worker_id: reply.worker_id }, "worker id was lost and leased anew");
      this.#counter.move(window);
    }
    this.#workerId = reply.worker_id;
    this.#floorMs = reply.floor_ms;
  }
}
