// What a node tells of itself: kept in plain numbers beside the metrics, for the operations page.
import type { NodeReport } from "../../services/contracts/node.ts";
import { type Clock, SECOND_MS } from "../../services/kernel/clock.ts";
import type { PoolFigures } from "../database/connection-pool.ts";
import { allQueueFigures } from "../database/queue-figures.ts";
import type { Labels, MetricName } from "./catalogue.ts";
import type { MetricsSource } from "./metrics.ts";
import { type CallFigures, createRecentCalls, type RecentCalls } from "./recent-calls.ts";

const NAMES_SHOWN_MAX = 30;
const US_PER_MS = 1_000;
const SERVER_ERROR = 500;

export interface NodeReporter {
  report(): NodeReport;
}

export interface ReporterParts {
  readonly metrics: MetricsSource;
  readonly clock: Clock;
  readonly pools: () => ReadonlyMap<string, PoolFigures>;
}

/** Counts from now on. */
export function createNodeReporter({ metrics, clock, pools }: ReporterParts): NodeReporter {
  const startedAt = new Date(clock.now()).toISOString();
  const routes = createRecentCalls();
  const actions = createRecentCalls();
  const circuits = new Set<string>();
  const state = { loopDelayMs: 0, cpuCores: 0 };
  const turns: number[] = [clock.monotonic()];
  let cpuBefore = process.cpuUsage();

  metrics.attach((name, _method, labels, value) => {
    take({ routes, actions }, name, labels, value);
    if (name === "app_event_loop_delay_ms") state.loopDelayMs = value;
  });
  metrics.onCircuit((circuit, isOpen) => {
    if (isOpen) circuits.add(circuit);
    else circuits.delete(circuit);
  });
  metrics.onCollect(() => {
    const now = clock.monotonic();
    const { user, system } = process.cpuUsage(cpuBefore);
    state.cpuCores = (user + system) / US_PER_MS / Math.max(1, now - (turns[0] ?? now));
    cpuBefore = process.cpuUsage();
    for (const recent of [routes, actions]) recent.turn();
    turns.unshift(now);
    turns.length = routes.slots;
  });

  return {
    report() {
      const windowS = Math.max(SECOND_MS, clock.monotonic() - (turns.at(-1) ?? 0)) / SECOND_MS;
      const show = (recent: RecentCalls) =>
        recent.busiest(NAMES_SHOWN_MAX).map((figures) => callReport(figures, windowS));
      return {
        started_at: startedAt,
        cpu_cores: rounded(state.cpuCores),
        memory_bytes: process.memoryUsage.rss(),
        event_loop_delay_ms: rounded(state.loopDelayMs),
        window_s: rounded(windowS),
        routes: show(routes),
        actions: show(actions),
        open_circuits: [...circuits].sort(),
        pools: [...pools()].map(([schema, { open, idle, waiting, sizeMax }]) => ({
          schema,
          busy: open - idle,
          idle,
          waiting,
          max: sizeMax,
        })),
        queues: [...allQueueFigures()].map(([name, { waiting, flushed }]) => ({
          name,
          waiting,
          flushed,
        })),
      };
    },
  };
}

interface Recents {
  readonly routes: RecentCalls;
  readonly actions: RecentCalls;
}

function take(
  { routes, actions }: Recents,
  name: MetricName,
  labels: Labels | undefined,
  value: number,
): void {
  if (labels === undefined) return;
  if (name === "app_http_requests_total") {
    const isFailure = Number(labels["status"]) >= SERVER_ERROR;
    routes.count(String(labels["route"]), value, isFailure ? value : 0);
  } else if (name === "app_http_request_duration_ms")
    routes.observe(String(labels["route"]), value);
  else if (name === "moleculer_req_total") actions.count(String(labels["action"]), value, 0);
  else if (name === "moleculer_req_duration_ms") actions.observe(String(labels["action"]), value);
  else if (name === "moleculer_req_errors_total" && Number(labels["errorCode"]) >= SERVER_ERROR) {
    actions.count(String(labels["action"]), 0, value);
  }
}

function callReport({ name, calls, failures, p50Ms, p99Ms }: CallFigures, windowS: number) {
  return {
    name,
    per_s: rounded(calls / windowS),
    failures_per_s: rounded(failures / windowS),
    p50_ms: p50Ms,
    p99_ms: p99Ms,
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
