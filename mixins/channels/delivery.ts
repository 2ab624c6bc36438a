// Sorts what came out of one pull: readable or not, first delivery or repeated, each event once.
import type { EventName } from "../../services/contracts/events.ts";
import type { EventOrigin } from "../outbox/outbox.ts";
import type { ConsumedEvent } from "./channel.ts";
import { decodeMessage, isRepublished } from "./envelope.ts";
import type { StreamMessage } from "./stream-message.ts";

export interface Delivery {
  readonly event: ConsumedEvent;
  readonly origin: EventOrigin;
  /** Usually one; more when the same event came twice in one pull. */
  readonly messages: StreamMessage[];
  /** Delivered before, or published again: a dead letter of it may exist. */
  readonly isRepeated: boolean;
  /** The message as it came. */
  text(): string;
}

export interface MalformedDelivery {
  readonly eventId: string;
  readonly origin: EventOrigin;
  readonly error: string;
  readonly message: string;
  readonly source: StreamMessage;
}

export interface Deliveries {
  readonly malformed: readonly MalformedDelivery[];
  /** At most two groups, none empty: first deliveries, then repeated ones. In stream order. */
  readonly groups: readonly (readonly Delivery[])[];
}

export function groupDeliveries(name: EventName, messages: readonly StreamMessage[]): Deliveries {
  const malformed: MalformedDelivery[] = [];
  const byId = new Map<string, Delivery>();
  for (const source of messages) {
    const decoded = decodeMessage(name, source);
    if (!decoded.ok) {
      const { eventId, origin, fault } = decoded;
      malformed.push({ eventId, origin, error: fault, message: source.text(), source });
      continue;
    }
    const { event, origin } = decoded;
    const known = byId.get(event.id);
    if (known !== undefined) {
      known.messages.push(source);
      continue;
    }
    const isRepeated = source.deliveryCount > 1 || isRepublished(source);
    const text = (): string => source.text();
    byId.set(event.id, { event, origin, messages: [source], isRepeated, text });
  }
  const deliveries = [...byId.values()];
  const groups = [
    deliveries.filter((delivery) => !delivery.isRepeated),
    deliveries.filter((delivery) => delivery.isRepeated),
  ];
  return { malformed, groups: groups.filter((group) => group.length > 0) };
}
