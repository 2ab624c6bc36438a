// How code reports what it did. Where the numbers go is decided once per process; before the
// exposition service is up they are dropped, as nobody can have scraped them.
import type { Labels, MetricName } from "./catalogue.ts";

export interface Metrics {
  increment(name: MetricName, labels?: Labels, by?: number): void;
  observe(name: MetricName, labels: Labels | undefined, value: number): void;
  set(name: MetricName, labels: Labels | undefined, value: number): void;
  /** Called before each reading of the gauges, every few seconds; must be quick and must not throw. */
  onCollect(collect: () => void): void;
}

export type MetricSink = (
  name: MetricName,
  method: "inc" | "observe" | "set",
  labels: Labels | undefined,
  value: number,
) => void;

export interface MetricsSource extends Metrics {
  attach(sink: MetricSink): void;
  collect(): void;
}

export function createMetrics(): MetricsSource {
  let sink: MetricSink | undefined;
  const collectors: (() => void)[] = [];
  return {
    increment: (name, labels, by = 1) => sink?.(name, "inc", labels, by),
    observe: (name, labels, value) => sink?.(name, "observe", labels, value),
    set: (name, labels, value) => sink?.(name, "set", labels, value),
    onCollect: (collect) => void collectors.push(collect),
    attach: (target) => {
      sink = target;
    },
    collect() {
      for (const collect of collectors) collect();
    },
  };
}
