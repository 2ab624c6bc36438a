// How full the streams are and how far their consumers, as the message server tells it.
import { type JetStreamManager, NatsError } from "nats";
import { EVENT_OWNERS, type EventOwner, eventOwner } from "../../services/contracts/events.ts";
import { consumersOf, eventNames, streamName, subscriptionOf } from "./topology.ts";

export interface ConsumerState {
  readonly consumer: EventOwner;
  readonly event: string;
  /** Messages it has not been given yet. */
  readonly waiting: number;
  /** Messages it was given and has not settled. */
  readonly unacknowledged: number;
}

export interface StreamState {
  readonly owner: EventOwner;
  readonly messages: number;
  readonly bytes: number;
  /** From here on the stream refuses messages. */
  readonly bytesMax: number;
  readonly consumers: readonly ConsumerState[];
}

/** A stream that does not exist yet is left out. */
export async function readStreams(
  manager: JetStreamManager,
  namespace: string,
): Promise<readonly StreamState[]> {
  const states = await Promise.all(
    EVENT_OWNERS.map((owner) => readStream(manager, namespace, owner)),
  );
  return states.filter((state) => state !== undefined);
}

const NOT_FOUND = 404;

async function readStream(
  manager: JetStreamManager,
  namespace: string,
  owner: EventOwner,
): Promise<StreamState | undefined> {
  try {
    const { state, config } = await manager.streams.info(streamName(namespace, owner));
    const { messages, bytes } = state;
    const consumers = await readConsumers(manager, namespace, owner);
    return { owner, messages, bytes, bytesMax: config.max_bytes, consumers };
  } catch (error) {
    if (error instanceof NatsError && error.api_error?.code === NOT_FOUND) return undefined;
    throw error;
  }
}

async function readConsumers(
  manager: JetStreamManager,
  namespace: string,
  owner: EventOwner,
): Promise<readonly ConsumerState[]> {
  const pairs = eventNames()
    .filter((event) => eventOwner(event) === owner)
    .flatMap((event) => consumersOf(event).map((consumer) => ({ event, consumer })));
  return await Promise.all(
    pairs.map(async ({ event, consumer }) => {
      const { stream, durable } = subscriptionOf(namespace, event, consumer);
      const info = await manager.consumers.info(stream, durable);
      return {
        consumer,
        event,
        waiting: info.num_pending,
        unacknowledged: info.num_ack_pending,
      };
    }),
  );
}
