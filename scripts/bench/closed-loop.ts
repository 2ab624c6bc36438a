// Workers that do one unit of work after the other, as fast as the other side answers. Figures are
// taken between two marks while the loop goes on, so that neither its start nor its end is in them.
import { quantile } from "./statistics.ts";

const FAILURES_MAX = 20;

/** What happened since the last mark. */
export interface Tally {
  readonly units: number;
  readonly failures: number;
  /** What the first failure said; empty without one. */
  readonly failure: string;
  /** Of whole units, milliseconds; NaN without any. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type Unit = (worker: number) => Promise<void>;

export class ClosedLoop {
  readonly #unit: Unit;
  #latencies: number[] = [];
  #failures = 0;
  #failure = "";
  #isStopping = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(unit: Unit) {
    this.#unit = unit;
  }

  start(workers: number): void {
    this.#running = Promise.all(Array.from({ length: workers }, (_, worker) => this.#run(worker)));
  }

  mark(): Tally {
    const sorted = this.#latencies.sort((left, right) => left - right);
    const tally = {
      units: sorted.length,
      failures: this.#failures,
      failure: this.#failure,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
    };
    this.#latencies = [];
    this.#failures = 0;
    this.#failure = "";
    return tally;
  }

  /** Resolves when every worker has finished its unit. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(worker: number): Promise<void> {
    while (!this.#isStopping && this.#failures < FAILURES_MAX) {
      const startedMs = performance.now();
      try {
        await this.#unit(worker);
        this.#latencies.push(performance.now() - startedMs);
      } catch (error) {
        this.#failures += 1;
        if (this.#failure === "") this.#failure = String(error);
      }
    }
  }
}
