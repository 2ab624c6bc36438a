// Every node of the cluster, asked one by one: a node that does not answer is shown as silent, and keeps
// nobody from seeing the others.
import type { ServiceBroker } from "moleculer";
import type { Log } from "../../mixins/log.ts";
import { call } from "../contracts/actions.ts";
import { NODES_SHOWN_MAX, type NodeView } from "../contracts/gateway.ts";
import { SECOND_MS } from "../kernel/clock.ts";

const REPORT_TIMEOUT_MS = SECOND_MS;

/** What Moleculer's registry knows of a node. */
interface KnownNode {
  readonly id: string;
  readonly available: boolean;
  readonly metadata?: { readonly version?: unknown };
  readonly services?: readonly { readonly name: string }[];
}

export async function listNodes(broker: ServiceBroker, log: Log): Promise<{ items: NodeView[] }> {
  const known = broker.registry.getNodeList({
    onlyAvailable: false,
    withServices: true,
  }) as unknown as readonly KnownNode[];
  const shown = [...known].sort((left, right) => (left.id < right.id ? -1 : 1));
  const items = shown.slice(0, NODES_SHOWN_MAX).map((node) => viewOf(broker, log, node));
  return { items: await Promise.all(items) };
}

async function viewOf(broker: ServiceBroker, log: Log, node: KnownNode): Promise<NodeView> {
  const { id, available, metadata, services = [] } = node;
  const options = { nodeID: id, timeout: REPORT_TIMEOUT_MS };
  const report = available
    ? await call(broker, "node.report", {}, options).catch((error: unknown) => {
        log.warn({ err: error, of: id }, "a node does not tell how it is doing");
        return null;
      })
    : null;
  return {
    id,
    is_available: available,
    version: typeof metadata?.version === "string" ? metadata.version : null,
    services: services
      .map(({ name }) => name)
      .filter((name) => !name.startsWith("$"))
      .sort(),
    report,
  };
}
