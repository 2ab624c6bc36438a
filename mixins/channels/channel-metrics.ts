// Shows how far a service's durable messages are behind. Read every few seconds, computes nothing.
import type { Metrics } from "../metrics/metrics.ts";
import type { OutboxBacklog } from "../outbox/outbox.repository.ts";
import type { RunnerStats } from "./consumer-runner.ts";

type Counts = Readonly<Record<"applied" | "duplicate" | "failed" | "dead_lettered", number>>;
const NOTHING: Counts = { applied: 0, duplicate: 0, failed: 0, dead_lettered: 0 };

interface ShownChannels {
  readonly owner: string;
  readonly backlog: OutboxBacklog;
  readonly consumers: readonly RunnerStats[];
}

export function showChannels(
  metrics: Pick<Metrics, "set" | "increment" | "onCollect">,
  read: () => ShownChannels,
): void {
  const shown = new Map<string, Counts>();
  metrics.onCollect(() => {
    const { owner, backlog, consumers } = read();
    metrics.set("app_outbox_backlog", { owner }, backlog.rows);
    metrics.set("app_forwarder_lag_ms", { owner }, backlog.oldestAgeMs);
    for (const { event, lastLagMs, applied, duplicates, failed, deadLettered } of consumers) {
      metrics.set("app_consumer_lag_ms", { consumer: owner, event }, lastLagMs);
      const counts = { applied, duplicate: duplicates, failed, dead_lettered: deadLettered };
      const before = shown.get(event) ?? NOTHING;
      shown.set(event, counts);
      for (const result of Object.keys(counts) as (keyof Counts)[]) {
        const labels = { consumer: owner, event, result };
        const by = counts[result] - before[result];
        if (by > 0) metrics.increment("app_consumer_events_total", labels, by);
      }
    }
  });
}
