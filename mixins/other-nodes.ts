// Which other nodes run a service, for questions that every node answers out of its own memory.
import type { ServiceBroker } from "moleculer";

/** Nodes that are asked; a cluster of more is asked in part. */
const NODES_MAX = 32;

interface ListedNode {
  readonly id: string;
  readonly available: boolean;
  readonly services: readonly { readonly name: string }[];
}

/** Ids of those that are available, without the node that asks. */
export function otherNodesWith(broker: ServiceBroker, service: string): readonly string[] {
  const { registry, nodeID } = broker;
  const nodes = registry.getNodeList({ onlyAvailable: true, withServices: true }) as unknown;
  return (nodes as readonly ListedNode[])
    .filter(({ id, services }) => id !== nodeID && services.some(({ name }) => name === service))
    .map(({ id }) => id)
    .slice(0, NODES_MAX);
}
