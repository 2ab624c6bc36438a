// The floors' gate in Redis: one EVALSHA for all buyers of a turn.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import type { FloorAnswer } from "./floor-buyers.ts";

const TEXT = readFileSync(new URL("./floor-gate.lua", import.meta.url), "utf8");
const SHA = createHash("sha1").update(TEXT).digest("hex");
const LASTS_MS = 3_600_000;
const SLUGS: Readonly<Record<string, string>> = {
  B: "SECKILL_NOT_STARTED",
  D: "SECKILL_ALREADY_PURCHASED",
  S: "SECKILL_SOLD_OUT",
};

export class FloorGate {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #startsAtMs = Date.now();
  #lastId = BigInt(Date.now()) << 22n;

  constructor(redisUrl: string, namespace: string) {
    this.#redis = new Redis(redisUrl, { connectionName: "bench-floor" });
    this.#prefix = `${namespace}:bench`;
  }

  async open(saleId: string, units: number): Promise<void> {
    await this.#redis.script("LOAD", TEXT);
    const { stock, users, journal } = this.#keys(saleId);
    await this.#redis.unlink(users, journal);
    await this.#redis.set(stock, units);
  }

  /** One answer per user, in order; the order ids are new. */
  async admit(saleId: string, userIds: readonly string[]): Promise<readonly FloorAnswer[]> {
    const { stock, users, journal } = this.#keys(saleId);
    const list: (string | number)[] = [this.#startsAtMs, this.#startsAtMs + LASTS_MS];
    for (const userId of userIds) list.push(userId, this.#nextId());
    const reply = (await this.#redis.evalsha(SHA, 3, stock, users, journal, ...list)) as string[];
    return reply.map((one) => {
      const slug = SLUGS[one];
      return slug === undefined ? { orderId: one } : { slug };
    });
  }

  #nextId(): string {
    this.#lastId += 1n;
    return String(this.#lastId);
  }

  #keys(saleId: string): { stock: string; users: string; journal: string } {
    const prefix = `${this.#prefix}:{${saleId}}`;
    return { stock: `${prefix}:stock`, users: `${prefix}:users`, journal: `${prefix}:journal` };
  }
}
