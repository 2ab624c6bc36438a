// Shows the group commits of this process. Read every few seconds, computes nothing.
import type { Metrics } from "../metrics/metrics.ts";
import { allQueueFigures, type QueueFigures } from "./queue-figures.ts";

type Counted = Pick<QueueFigures, "flushed" | "failed" | "commands">;
const NOTHING: Counted = { flushed: 0, failed: 0, commands: 0 };

const COUNTERS = {
  flushed: "app_repo_flush_success_total",
  failed: "app_repo_flush_failed_total",
  commands: "app_repo_flush_commands_total",
} as const;

export function showQueues(metrics: Pick<Metrics, "set" | "increment" | "onCollect">): void {
  const shown = new Map<string, Counted>();
  metrics.onCollect(() => {
    for (const [queue, { waiting, flushed, failed, commands }] of allQueueFigures()) {
      metrics.set("app_queue_depth", { queue }, waiting);
      const before = shown.get(queue) ?? NOTHING;
      const now = { flushed, failed, commands };
      shown.set(queue, now);
      for (const [field, name] of Object.entries(COUNTERS) as [keyof Counted, Name][]) {
        metrics.increment(name, { queue }, now[field] - before[field]);
      }
    }
  });
}

type Name = (typeof COUNTERS)[keyof typeof COUNTERS];
