// Counts where products were found. A read adds to a plain number; the metrics are told now and then.
import type { Metrics } from "../../mixins/metrics/metrics.ts";

export const READ_SOURCES = ["memory", "redis", "database"] as const;
export type ReadTally = Record<(typeof READ_SOURCES)[number], number>;

export function createReadTally(metrics: Pick<Metrics, "increment" | "onCollect">): ReadTally {
  const tally: ReadTally = { memory: 0, redis: 0, database: 0 };
  metrics.onCollect(() => {
    for (const source of READ_SOURCES) {
      if (tally[source] === 0) continue;
      metrics.increment("app_product_reads_total", { source }, tally[source]);
      tally[source] = 0;
    }
  });
  return tally;
}
