// The exposition end of a node: moleculer-prometheus on a port of its own, fed by our middleware
// with true histograms, and a reading of the gauges every few seconds so that no scrape computes.
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ServiceSchema } from "moleculer";
import Prometheus from "moleculer-prometheus";
import { METRICS } from "./catalogue.ts";
import type { MetricsSource } from "./metrics.ts";

const COLLECT_INTERVAL_MS = 5_000;
const LOOP_RESOLUTION_MS = 20;
const NS_PER_MS = 1_000_000;

interface PrometheusService {
  update(name: string, method: string, labels: object | undefined, value: number): void;
}

export interface ExpositionParts {
  readonly metrics: MetricsSource;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export function createPrometheusService({ metrics, host, port }: ExpositionParts): ServiceSchema {
  let timer: NodeJS.Timeout | undefined;
  let loop: ReturnType<typeof monitorEventLoopDelay> | undefined;
  return {
    name: "prometheus",
    mixins: [Prometheus],
    settings: {
      // The package hands this to server.listen() as it is: an object also says the address.
      port: { port, host },
      metrics: METRICS,
    } as object,
    started() {
      const service = this as unknown as PrometheusService;
      metrics.attach((name, method, labels, value) => {
        service.update(name, method, labels, value);
      });
      const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
      loop = delay;
      delay.enable();
      metrics.onCollect(() => {
        metrics.set("app_event_loop_delay_ms", undefined, delay.percentile(99) / NS_PER_MS);
        delay.reset();
      });
      timer = setInterval(() => {
        metrics.collect();
      }, COLLECT_INTERVAL_MS);
    },
    stopped() {
      clearInterval(timer);
      loop?.disable();
    },
  };
}
