// Names and settings of streams and durable consumers, made from the event catalogue. A stream is
// always made together with every consumer it will have: under interest retention an event that
// nobody is registered for is dropped the moment it arrives.
import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  nanos,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "nats";
import {
  EVENT_CATALOGUE,
  type EventName,
  eventOwner,
  type EventOwner,
} from "../../services/contracts/events.ts";
import { DAY_MS, MINUTE_MS, SECOND_MS } from "../../services/kernel/clock.ts";

export const STREAM_MAX_AGE_MS = 7 * DAY_MS;
/** A full stream refuses new events; the outbox keeps them. */
const STREAM_MAX_BYTES = 1024 * 1024 * 1024;
/** Within it the server drops a second publish of the same message id. */
const DUPLICATE_WINDOW_MS = 10 * MINUTE_MS;
/** A delivery that is neither settled nor prolonged within it is delivered again. */
const ACK_WAIT_MS = 30 * SECOND_MS;
/** Deliveries of one durable consumer under way at once, over all nodes. */
const ACKS_PENDING_MAX = 1_024;

const TRIES_UNLIMITED = -1;

/** Where a consumer of an event pulls from. */
export interface Subscription {
  readonly owner: EventOwner;
  readonly stream: string;
  readonly durable: string;
}

export function streamName(namespace: string, owner: EventOwner): string {
  return `${namespace}_${owner}`;
}

export function eventSubject(namespace: string, name: EventName): string {
  return `${namespace}.events.${name}`;
}

/** Core subject (not in any stream) on which writers tell relays that there is something to do. */
export function hintSubject(namespace: string, owner: EventOwner): string {
  return `${namespace}.outbox.${owner}`;
}

export function subscriptionOf(
  namespace: string,
  name: EventName,
  consumer: EventOwner,
): Subscription {
  const owner = eventOwner(name);
  return {
    owner,
    stream: streamName(namespace, owner),
    durable: `${name.replaceAll(".", "_")}__${consumer}`,
  };
}

export function eventNames(): readonly EventName[] {
  return Object.keys(EVENT_CATALOGUE) as EventName[];
}

/** Who consumes an event, widened from the catalogue's literal types. */
export function consumersOf(name: EventName): readonly EventOwner[] {
  return EVENT_CATALOGUE[name].consumers;
}

export function streamConfig(namespace: string, owner: EventOwner): Partial<StreamConfig> {
  return {
    name: streamName(namespace, owner),
    subjects: [`${namespace}.events.${owner}.>`],
    retention: RetentionPolicy.Interest,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_bytes: STREAM_MAX_BYTES,
    max_age: nanos(STREAM_MAX_AGE_MS),
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    num_replicas: 1,
  };
}

/** Every durable consumer of an owner's stream. */
export function consumerConfigs(
  namespace: string,
  owner: EventOwner,
  ackWaitMs = ACK_WAIT_MS,
): readonly Partial<ConsumerConfig>[] {
  return eventNames()
    .filter((name) => eventOwner(name) === owner)
    .flatMap((name) => consumersOf(name).map((consumer) => ({ name, consumer })))
    .map(({ name, consumer }) => ({
      durable_name: subscriptionOf(namespace, name, consumer).durable,
      filter_subject: eventSubject(namespace, name),
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      replay_policy: ReplayPolicy.Instant,
      ack_wait: nanos(ackWaitMs),
      max_deliver: TRIES_UNLIMITED,
      max_ack_pending: ACKS_PENDING_MAX,
    }));
}
