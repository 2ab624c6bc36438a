// Starts and stops one node: services up, then ready; readiness off, work finished, then down.
import type { ServiceSchema } from "moleculer";
import type { Settings } from "../config/schema.ts";
import { resolveServices } from "../config/roles.ts";
import { showQueues } from "../mixins/database/queue-metrics.ts";
import { createNodeReporter } from "../mixins/metrics/node-report.ts";
import {
  createPrometheusService,
  createReportService,
} from "../mixins/metrics/prometheus.service.ts";
import { createNode, type NodeOptions, type PlatformNode } from "./node.ts";
import { SERVICE_MODULES } from "./units.ts";

/** How long a node that has started waits for its first lease of a worker id. */
const IDS_WAIT_MS = 1_000;

export interface RunningNode {
  readonly node: PlatformNode;
  /** Finishes what is under way, at most SHUTDOWN_TIMEOUT_MS, then closes everything. */
  stop(): Promise<void>;
}

/** @throws what the first failing service threw; everything started before it is stopped. */
export async function runNode(options: NodeOptions): Promise<RunningNode> {
  const node = createNode(options);
  try {
    for (const service of observation(node)) node.broker.createService(service);
    node.broker.createService(node.ruleService);
    for (const unit of unitsOf(options.settings)) {
      const module = await SERVICE_MODULES[unit]();
      node.broker.createService(module.wire(node));
    }
    await node.broker.start();
    await Promise.race([node.ids.start(), waitForIds()]);
  } catch (error) {
    await stopNode(node);
    throw error;
  }
  let stopping: Promise<void> | undefined;
  return { node, stop: () => (stopping ??= stopNode(node)) };
}

/** What shows the node to others: its metrics port, and its report for the operations page. */
function observation({ metrics, settings, clock, pools }: PlatformNode): readonly ServiceSchema[] {
  showQueues(metrics);
  return [
    createPrometheusService({ metrics, host: settings.HOST, port: settings.METRICS_PORT }),
    createReportService(createNodeReporter({ metrics, clock, pools })),
  ];
}

function unitsOf(settings: Settings): ReturnType<typeof resolveServices>["units"] {
  return resolveServices(settings.SERVICES).units;
}

/** A node that came up before the user service goes on without ids; /readyz tells. */
function waitForIds(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, IDS_WAIT_MS).unref());
}

async function stopNode(node: PlatformNode): Promise<void> {
  await node.prepareStop();
  await node.broker.stop();
  node.ids.stop();
  await node.close();
}
