// Questions that every node answers out of its own memory, put to all the others.
import type { Context, ServiceBroker } from "moleculer";
import {
  type ActionName,
  type ActionParams,
  type ActionResult,
  call,
} from "../services/contracts/actions.ts";

/** Nodes that are asked; a cluster of more is asked in part. */
const NODES_MAX = 32;
/** Of the gateway's three seconds; a living node answers from memory. */
const ANSWER_TIMEOUT_MS = 500;

interface ListedNode {
  readonly id: string;
  readonly available: boolean;
  readonly services: readonly { readonly name: string }[];
}

/** Never rejects: a node that does not answer in time, or fails, is left out. */
export async function askOtherNodes<Name extends ActionName>(
  caller: Context | ServiceBroker,
  name: Name,
  params: ActionParams<Name>,
): Promise<readonly ActionResult<Name>[]> {
  const broker = "broker" in caller ? caller.broker : caller;
  const answers = otherNodesWith(broker, name.slice(0, name.indexOf("."))).map(async (nodeID) => {
    const options = { nodeID, timeout: ANSWER_TIMEOUT_MS };
    return await call(caller, name, params, options).catch(() => undefined);
  });
  return (await Promise.all(answers)).filter((answer) => answer !== undefined);
}

/** Ids of those that are available, without the node that asks. */
function otherNodesWith(broker: ServiceBroker, service: string): readonly string[] {
  const { registry, nodeID } = broker;
  const nodes = registry.getNodeList({ onlyAvailable: true, withServices: true }) as unknown;
  return (nodes as readonly ListedNode[])
    .filter(({ id, services }) => id !== nodeID && services.some(({ name }) => name === service))
    .map(({ id }) => id)
    .slice(0, NODES_MAX);
}
