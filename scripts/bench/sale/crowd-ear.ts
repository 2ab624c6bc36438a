// What a crowd hears: how many answers of each kind, and how long winners and losers waited. Every
// order id is kept until the end: one that is promised twice is a fault.
import type { HttpAnswer } from "../http-socket.ts";
import { quantile } from "../statistics.ts";

export interface Percentiles {
  readonly count: number;
  /** Milliseconds; NaN without any answer. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export interface Heard {
  /** Answers by slug; `queued` = a promise, `waiting` = none, `no answer`. */
  readonly answers: Readonly<Record<string, number>>;
  readonly winners: Percentiles;
  readonly losers: Percentiles;
  /** From the first request to the last promise, and to the last answer. Milliseconds. */
  readonly lastPromiseMs: number;
  readonly lastAnswerMs: number;
  /** Orders that were promised to more than one request. */
  readonly promisedTwice: number;
}

const QUEUED = /^\{"code":0,.*"order_id":"(\d+)"/;
const WAITING = '"status":"waiting"';
const SLUG = /"error":"([A-Z_]+)"/;

export class CrowdEar {
  readonly #answers = new Map<string, number>();
  readonly #winnersMs: number[] = [];
  readonly #losersMs: number[] = [];
  readonly #orders = new Set<string>();
  #promisedTwice = 0;
  #startMs = 0;
  #lastPromiseMs = 0;
  #lastAnswerMs = 0;

  begin(): void {
    this.#startMs = performance.now();
  }

  /** Returns the kind of the answer. */
  hear({ status, body }: HttpAnswer, waitedMs: number): string {
    this.#lastAnswerMs = performance.now() - this.#startMs;
    const orderId = status === 202 ? QUEUED.exec(body)?.[1] : undefined;
    if (orderId !== undefined) {
      if (this.#orders.has(orderId)) this.#promisedTwice += 1;
      this.#orders.add(orderId);
      this.#winnersMs.push(waitedMs);
      this.#lastPromiseMs = this.#lastAnswerMs;
      return this.#count("queued");
    }
    this.#losersMs.push(waitedMs);
    if (status === 200) return this.#count("ok");
    if (body.includes(WAITING)) return this.#count("waiting");
    return this.#count(SLUG.exec(body)?.[1] ?? String(status));
  }

  miss(): string {
    return this.#count("no answer");
  }

  tell(): Heard {
    return {
      answers: Object.fromEntries(this.#answers),
      winners: percentilesOf(this.#winnersMs),
      losers: percentilesOf(this.#losersMs),
      lastPromiseMs: this.#lastPromiseMs,
      lastAnswerMs: this.#lastAnswerMs,
      promisedTwice: this.#promisedTwice,
    };
  }

  #count(kind: string): string {
    this.#answers.set(kind, (this.#answers.get(kind) ?? 0) + 1);
    return kind;
  }
}

export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number => quantile(sorted, share);
  return {
    count: sorted.length,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    maxMs: at(1),
  };
}
