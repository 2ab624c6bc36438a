// Shows how far a service's durable messages are behind. Read every few seconds, computes nothing.
import type { MetricName } from "../metrics/catalogue.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { OutboxBacklog } from "../outbox/outbox.repository.ts";
import type { RunnerStats } from "./consumer-runner.ts";

type Counted = "applied" | "duplicates" | "failed" | "deadLettered" | "retried" | "redelivered";

interface Shown {
  readonly field: Counted;
  readonly name: MetricName;
  readonly labels: Readonly<Record<string, string>>;
}

const SHOWN: readonly Shown[] = [
  { field: "applied", name: "app_consumer_events_total", labels: { result: "applied" } },
  { field: "duplicates", name: "app_consumer_events_total", labels: { result: "duplicate" } },
  { field: "failed", name: "app_consumer_events_total", labels: { result: "failed" } },
  { field: "deadLettered", name: "app_consumer_events_total", labels: { result: "dead_lettered" } },
  { field: "retried", name: "app_consumer_retries_total", labels: {} },
  { field: "redelivered", name: "app_consumer_redeliveries_total", labels: {} },
];

interface ShownChannels {
  readonly owner: string;
  readonly backlog: OutboxBacklog;
  readonly consumers: readonly RunnerStats[];
}

export function showChannels(
  metrics: Pick<Metrics, "set" | "increment" | "onCollect">,
  read: () => ShownChannels,
): void {
  const shown = new Map<string, RunnerStats>();
  metrics.onCollect(() => {
    const { owner, backlog, consumers } = read();
    metrics.set("app_outbox_backlog", { owner }, backlog.rows);
    metrics.set("app_forwarder_lag_ms", { owner }, backlog.oldestAgeMs);
    for (const stats of consumers) {
      const { event } = stats;
      metrics.set("app_consumer_lag_ms", { consumer: owner, event }, stats.lastLagMs);
      const before = shown.get(event);
      shown.set(event, stats);
      for (const { field, name, labels } of SHOWN) {
        const by = stats[field] - (before?.[field] ?? 0);
        // By 0 too: a counter that is there from the start shows its first increase.
        metrics.increment(name, { consumer: owner, event, ...labels }, by);
      }
    }
  });
}
