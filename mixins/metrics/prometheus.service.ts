// The exposition end of a node: moleculer-prometheus on a port of its own, fed by our middleware
// with true histograms, and a reading of the gauges every few seconds so that no scrape computes.
import type { Context, ServiceSchema } from "moleculer";
import Prometheus from "moleculer-prometheus";
import { nodeContract } from "../../services/contracts/node.ts";
import { implement } from "../service.ts";
import { METRICS } from "./catalogue.ts";
import { createLoopDelay } from "./loop-delay.ts";
import type { MetricsSource } from "./metrics.ts";
import type { NodeReporter } from "./node-report.ts";

const COLLECT_INTERVAL_MS = 5_000;

interface PrometheusService {
  update(name: string, method: string, labels: object | undefined, value: number): void;
}

interface Circuit {
  readonly nodeID: string;
  readonly action: string;
}

export interface ExpositionParts {
  readonly metrics: MetricsSource;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** The node's own service: its contract is asked of every node by itself. */
export function createReportService(reporter: NodeReporter): ServiceSchema {
  return {
    name: "node",
    actions: implement(nodeContract, { report: () => Promise.resolve(reporter.report()) }),
  };
}

export function createPrometheusService({ metrics, host, port }: ExpositionParts): ServiceSchema {
  let timer: NodeJS.Timeout | undefined;
  const loop = createLoopDelay();
  return {
    name: "prometheus",
    mixins: [Prometheus],
    settings: {
      // The package hands this to server.listen() as it is: an object also says the address.
      port: { port, host },
      metrics: METRICS,
    } as object,
    events: circuitListeners(metrics),
    started() {
      const service = this as unknown as PrometheusService;
      metrics.attach((name, method, labels, value) => {
        service.update(name, method, labels, value);
      });
      loop.start();
      metrics.onCollect(() => {
        metrics.set("app_event_loop_delay_ms", undefined, loop.takeP99Ms());
      });
      timer = setInterval(() => {
        metrics.collect();
      }, COLLECT_INTERVAL_MS);
    },
    stopped() {
      clearInterval(timer);
      loop.stop();
    },
  };
}

/** Moleculer tells every node of every circuit; each shows its own. */
function circuitListeners(metrics: MetricsSource): NonNullable<ServiceSchema["events"]> {
  const open = new Set<string>();
  const listener =
    (change: (circuit: Circuit) => void) =>
    (ctx: Context<Circuit>): void => {
      if (ctx.nodeID !== ctx.broker.nodeID) return;
      change(ctx.params);
      metrics.set("app_circuit_breakers_open", undefined, open.size);
    };
  return {
    "$circuit-breaker.opened": listener(({ nodeID, action }) => {
      open.add(`${nodeID} ${action}`);
      metrics.circuit(`${action} on ${nodeID}`, true);
      metrics.increment("app_circuit_breaker_opened_total", { action });
    }),
    "$circuit-breaker.closed": listener(({ nodeID, action }) => {
      open.delete(`${nodeID} ${action}`);
      metrics.circuit(`${action} on ${nodeID}`, false);
    }),
  };
}
