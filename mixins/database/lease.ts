// A leader lease: a row that one process holds for a while and renews. The holder stops believing
// in it, by its own monotonic clock, before the database would give it to somebody else. The fence
// grows with each change of holder.
import { SECOND_MS } from "../../services/kernel/clock.ts";
import type { Log } from "../log.ts";
import { isDuplicateKey } from "./database-error.ts";
import { type Database, sql, type Transaction } from "./database.ts";

const DURATION_MS = 6 * SECOND_MS;
/** Three renewals may fail before the lease is lost. */
const RENEWALS_PER_DURATION = 4;
/** Part of the duration given away so that clocks may run at slightly different speeds. */
const SAFETY_SHARE = 0.1;
const US_PER_MS = 1_000;

const FIND = sql(
  "lease.find",
  "SELECT fence, lease_until <= NOW(3) AS isFree, owner FROM leases WHERE name = ? FOR UPDATE",
);
const CREATE = sql(
  "lease.create",
  `INSERT INTO leases (name, owner, lease_until, fence)
   VALUES (?, ?, NOW(3) + INTERVAL ? MICROSECOND, 1)`,
);
const TAKE = sql(
  "lease.take",
  `UPDATE leases SET owner = ?, lease_until = NOW(3) + INTERVAL ? MICROSECOND, fence = fence + 1
    WHERE name = ?`,
);
const RENEW = sql(
  "lease.renew",
  `UPDATE leases SET lease_until = NOW(3) + INTERVAL ? MICROSECOND
    WHERE name = ? AND owner = ? AND fence = ? AND lease_until > NOW(3)`,
);
const RELEASE = sql(
  "lease.release",
  "UPDATE leases SET lease_until = NOW(3) WHERE name = ? AND owner = ? AND fence = ?",
);

export interface LeaseOptions {
  readonly database: Database;
  readonly name: string;
  /** Who holds it; unique per process. */
  readonly owner: string;
  readonly log: Log;
  readonly durationMs?: number;
}

export interface Lease {
  /** Tries to get the lease and keeps it, in the background, until stop(). */
  start(): void;
  isHeld(): boolean;
  /** The fence of the present holding; undefined when it is not held. */
  fence(): string | undefined;
  /** Gives the lease back at once. */
  stop(): Promise<void>;
}

export function createLease(options: LeaseOptions): Lease {
  return new DatabaseLease(options);
}

class DatabaseLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #durationMs: number;
  #fence: string | undefined;
  #heldUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#durationMs = options.durationMs ?? DURATION_MS;
  }

  start(): void {
    const next = async (): Promise<void> => {
      await this.#keep();
      if (this.#isStopping) return;
      this.#timer = setTimeout(() => {
        this.#turn = next();
      }, this.#durationMs / RENEWALS_PER_DURATION);
    };
    this.#turn = next();
  }

  isHeld(): boolean {
    return this.fence() !== undefined;
  }

  fence(): string | undefined {
    return performance.now() < this.#heldUntil ? this.#fence : undefined;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    await this.#turn;
    const fence = this.fence();
    this.#heldUntil = 0;
    if (fence === undefined) return;
    const { database, name, owner } = this.#options;
    // A lease that cannot be given back runs out.
    await database.run(RELEASE, [name, owner, fence]).catch(() => undefined);
  }

  async #keep(): Promise<void> {
    const askedAt = performance.now();
    try {
      const fence = (await this.#renew()) ?? (await this.#take());
      this.#fence = fence;
      this.#heldUntil = fence === undefined ? 0 : askedAt + this.#durationMs * (1 - SAFETY_SHARE);
    } catch (error) {
      const { log, name } = this.#options;
      log.warn({ err: error, lease: name }, "lease could not be renewed");
    }
  }

  async #renew(): Promise<string | undefined> {
    const { database, name, owner } = this.#options;
    const fence = this.#fence;
    if (fence === undefined) return undefined;
    const params = [this.#durationMs * US_PER_MS, name, owner, fence];
    return (await database.run(RENEW, params)).affectedRows === 1 ? fence : undefined;
  }

  async #take(): Promise<string | undefined> {
    const { database } = this.#options;
    try {
      return await database.transaction("lease.take", (tx) => this.#takeInside(tx));
    } catch (error) {
      if (isDuplicateKey(error)) return undefined;
      throw error;
    }
  }

  async #takeInside(tx: Transaction): Promise<string | undefined> {
    const { name, owner } = this.#options;
    const durationUs = this.#durationMs * US_PER_MS;
    const row = await tx.row<{ fence: string; isFree: number; owner: string }>(FIND, [name]);
    if (row === undefined) {
      await tx.run(CREATE, [name, owner, durationUs]);
      return "1";
    }
    if (row.isFree !== 1 && row.owner !== owner) return undefined;
    await tx.run(TAKE, [owner, durationUs, name]);
    return (BigInt(row.fence) + 1n).toString();
  }
}
