// The process's ids: one leased worker id, renewed every second, minted from only while the lease
// surely holds. Never mints on a guess: without a lease next() refuses with SERVICE_UNAVAILABLE.
import { PlatformError } from "../../services/contracts/errors.ts";
import { type Backoff, backoffDelayMs } from "../../services/kernel/backoff.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import type { IdGenerator } from "../../services/kernel/ids.ts";
import type { Log } from "../log.ts";
import { LeasedCounter, type WorkerLeaseReply, type WorkerLeaseRequest } from "./leased-counter.ts";

export const RENEW_INTERVAL_MS = 1_000;
const RETRY: Backoff = { baseMs: 50, maxMs: 1_000 };

export interface SnowflakeIdsOptions {
  readonly lease: (request: WorkerLeaseRequest) => Promise<WorkerLeaseReply>;
  readonly clock: Clock;
  /** Unique for each start of a process: a restarted node is another owner. */
  readonly owner: string;
  readonly log: Log;
  readonly random: () => number;
  readonly renewIntervalMs?: number;
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
  readonly #counter: LeasedCounter;
  readonly #firstLease = Promise.withResolvers<undefined>();
  #isStarted = false;
  #isStopped = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SnowflakeIdsOptions) {
    this.#options = options;
    this.#counter = new LeasedCounter(options.owner);
  }

  next(): string {
    const { clock } = this.#options;
    const id = this.#counter.next(clock.now(), clock.monotonic());
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
    this.#counter.abandon();
    this.#firstLease.resolve(undefined);
  }

  probe(): Promise<void> {
    if (this.#counter.isUsable(this.#options.clock.monotonic())) return Promise.resolve();
    return Promise.reject(new PlatformError("SERVICE_UNAVAILABLE"));
  }

  /** One lease or renewal, then the next; never two at once. */
  async #turn(): Promise<void> {
    const { log, random, renewIntervalMs = RENEW_INTERVAL_MS } = this.#options;
    const delayMs = await this.#leaseOnce().then(
      () => {
        this.#failures = 0;
        this.#firstLease.resolve(undefined);
        return renewIntervalMs;
      },
      (error: unknown) => {
        this.#failures += 1;
        log.debug({ err: error }, "worker id could not be leased");
        return backoffDelayMs(RETRY, this.#failures, random);
      },
    );
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#turn(), delayMs);
    this.#timer.unref();
  }

  async #leaseOnce(): Promise<void> {
    const { clock, lease, log } = this.#options;
    const sentAtMs = clock.monotonic();
    const reply = await lease(this.#counter.request(clock.now()));
    if (this.#isStopped) return;
    if (this.#counter.accept(reply, sentAtMs)) {
      log.warn({ worker_id: reply.worker_id }, "worker id was lost and leased anew");
    }
  }
}
