// What orders may take of SKUs, for product pages: read from Redis, which every commit writes to.
// Redis is a copy and may be away, or not have it yet: then a small copy in this process answers for at
// most LOCAL_TTL_MS, and after that the database. Never used to grant anything.
import { LRUCache } from "lru-cache";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import { orderable, type Stock } from "./domain/stock.ts";
import { readStock } from "./stock.repository.ts";

/** Where the copies are kept. Both reject when Redis does not answer. */
export interface AvailabilityCopies {
  /** One entry per SKU: units, or undefined when there is no copy. */
  read(skuIds: readonly string[]): Promise<(number | undefined)[]>;
  /** Keeps each unless a newer version is there. */
  write(copies: readonly AvailabilityCopy[]): Promise<void>;
}

export interface AvailabilityCopy {
  readonly skuId: string;
  readonly version: number;
  readonly units: number;
}

/** After Redis failed once it is left alone for this long, so that not every page waits for it. */
const REDIS_PAUSE_MS = SECOND_MS;
const LOCAL_TTL_MS = SECOND_MS;
const LOCAL_SKUS_MAX = 10_000;
/** Copies that wait to be written; beyond it new SKUs are left to their TTL. */
const WAITING_MAX = 10_000;
const WRITE_BATCH_MAX = 200;
const WRITE_RETRY_MS = 500;

export interface AvailabilityDeps {
  readonly database: Database;
  readonly copies: AvailabilityCopies;
  readonly clock: Clock;
  readonly log: Log;
}

export class AvailabilityStore {
  readonly #deps: AvailabilityDeps;
  readonly #local: LRUCache<string, number>;
  readonly #underWay = new Map<string, Promise<ReadonlyMap<string, number>>>();
  readonly #waiting = new Map<string, AvailabilityCopy>();
  #redisPausedUntil = Number.NEGATIVE_INFINITY;
  #pass: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: AvailabilityDeps) {
    this.#deps = deps;
    this.#local = new LRUCache({ max: LOCAL_SKUS_MAX, ttl: LOCAL_TTL_MS, perf: monotonicOf(deps) });
  }

  /** Units per SKU; unknown SKUs, and those that cannot be read now, are left out. Never rejects. */
  async read(skuIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const units = new Map<string, number>();
    const copies = await this.#readCopies(skuIds);
    const missing = new Set<string>();
    skuIds.forEach((skuId, index) => {
      const known = copies?.[index] ?? this.#local.get(skuId);
      if (known === undefined) missing.add(skuId);
      else units.set(skuId, known);
    });
    if (missing.size === 0) return units;
    for (const found of await this.#readMissing([...missing])) {
      for (const skuId of missing) {
        const known = found.get(skuId);
        if (known !== undefined) units.set(skuId, known);
      }
    }
    return units;
  }

  /**
   * Keeps what a commit left. Resolves when it has been tried once; failed writes are tried again in
   * the background, the newest version of each SKU only. Never rejects.
   */
  async remember(stocks: readonly Stock[]): Promise<void> {
    for (const stock of stocks) this.#enqueue(copyOf(stock));
    // A pass that is under way may have begun before these were added.
    await this.#pass;
    await this.#startPass();
  }

  /** Reads SKUs from the database and keeps them, for changes made without their rows at hand. */
  async refresh(skuIds: readonly string[]): Promise<void> {
    if (skuIds.length === 0) return;
    await this.remember(await readStock(this.#deps.database, [...new Set(skuIds)]));
  }

  /** Ends the background retries; waits for the write under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    await this.#pass;
  }

  async #readCopies(skuIds: readonly string[]): Promise<(number | undefined)[] | undefined> {
    if (skuIds.length === 0) return [];
    if (this.#isRedisPaused()) return undefined;
    try {
      return await this.#deps.copies.read(skuIds);
    } catch (error) {
      this.#pauseRedis(error);
      return undefined;
    }
  }

  /** One query for the SKUs nobody is reading yet, shared with whoever asks in the meantime. */
  async #readMissing(skuIds: readonly string[]): Promise<Iterable<ReadonlyMap<string, number>>> {
    const fresh = skuIds.filter((skuId) => !this.#underWay.has(skuId));
    if (fresh.length > 0) {
      const reading = this.#readDatabase(fresh);
      for (const skuId of fresh) this.#underWay.set(skuId, reading);
    }
    const readings = new Set<Promise<ReadonlyMap<string, number>>>();
    for (const skuId of skuIds) {
      const reading = this.#underWay.get(skuId);
      if (reading !== undefined) readings.add(reading);
    }
    return await Promise.all(readings);
  }

  async #readDatabase(skuIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    try {
      const stocks = await readStock(this.#deps.database, skuIds);
      for (const stock of stocks) this.#local.set(stock.skuId, orderable(stock));
      void this.remember(stocks);
      return new Map(stocks.map((stock) => [stock.skuId, orderable(stock)]));
    } catch (error) {
      this.#deps.log.warn({ err: error }, "availability: the database does not answer");
      return new Map();
    } finally {
      for (const skuId of skuIds) this.#underWay.delete(skuId);
    }
  }

  #enqueue(copy: AvailabilityCopy): void {
    const waiting = this.#waiting.get(copy.skuId);
    if (waiting === undefined && this.#waiting.size >= WAITING_MAX) return;
    if (waiting === undefined || waiting.version <= copy.version) {
      this.#waiting.set(copy.skuId, copy);
    }
  }

  #startPass(): Promise<void> {
    this.#pass ??= this.#writeWaiting().finally(() => {
      this.#pass = undefined;
    });
    return this.#pass;
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#isRedisPaused()) {
      const batch = [...this.#waiting.values()].slice(0, WRITE_BATCH_MAX);
      for (const copy of batch) this.#waiting.delete(copy.skuId);
      try {
        await this.#deps.copies.write(batch);
      } catch (error) {
        this.#pauseRedis(error);
        for (const copy of batch) this.#enqueue(copy);
      }
    }
    if (this.#waiting.size > 0) this.#retryLater();
  }

  #retryLater(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#startPass(), WRITE_RETRY_MS);
    this.#retry.unref();
  }

  #isRedisPaused(): boolean {
    return this.#deps.clock.monotonic() < this.#redisPausedUntil;
  }

  #pauseRedis(error: unknown): void {
    if (!this.#isRedisPaused()) {
      this.#deps.log.warn({ err: error }, "availability: Redis does not answer");
    }
    this.#redisPausedUntil = this.#deps.clock.monotonic() + REDIS_PAUSE_MS;
  }
}

function copyOf(stock: Stock): AvailabilityCopy {
  return { skuId: stock.skuId, version: stock.version, units: orderable(stock) };
}

function monotonicOf({ clock }: AvailabilityDeps): { now: () => number } {
  return { now: () => clock.monotonic() };
}
