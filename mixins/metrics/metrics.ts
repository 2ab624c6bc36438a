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
  /** Everybody attached is told of everything from then on. */
  attach(sink: MetricSink): void;
  collect(): void;
  /** Tells listeners that this node does not call an action of a node for now, or does again. */
  circuit(name: string, isOpen: boolean): void;
  onCircuit(listener: CircuitListener): void;
}

type CircuitListener = (name: string, isOpen: boolean) => void;

export function createMetrics(): MetricsSource {
  const sinks: MetricSink[] = [];
  const tell: MetricSink = (name, method, labels, value) => {
    for (const sink of sinks) sink(name, method, labels, value);
  };
  const collectors: (() => void)[] = [];
  const circuitListeners: CircuitListener[] = [];
  return {
    increment: (name, labels, by = 1) => tell(name, "inc", labels, by),
    observe: (name, labels, value) => tell(name, "observe", labels, value),
    set: (name, labels, value) => tell(name, "set", labels, value),
    onCollect: (collect) => void collectors.push(collect),
    attach: (sink) => void sinks.push(sink),
    circuit(name, isOpen) {
      for (const listener of circuitListeners) listener(name, isOpen);
    },
    onCircuit: (listener) => void circuitListeners.push(listener),
    collect() {
      for (const collect of collectors) collect();
    },
  };
}
