// The form of an event on the wire: an envelope of JSON around the stored payload text, which is
// spliced in and never parsed and written again. Trace and request ids ride in headers.
import { type Static, Type } from "@sinclair/typebox";
import { headers, type MsgHdrs } from "nats";
import {
  EVENT_CATALOGUE,
  type EventName,
  type EventOwner,
} from "../../services/contracts/events.ts";
import { Strict } from "../../services/kernel/schema.ts";
import type { EventOrigin } from "../outbox/outbox.ts";
import type { OutboxRow } from "../outbox/outbox.repository.ts";
import { TRACE_LINKS_MAX } from "../tracing/traceparent.ts";
import { faultsOf } from "../validation/ajv.ts";
import type { ConsumedEvent } from "./channel.ts";
import type { StreamMessage } from "./stream-message.ts";

const MESSAGE_ID_HEADER = "Nats-Msg-Id";
const TRACEPARENT_HEADER = "traceparent";
const TRACE_LINKS_HEADER = "x-trace-links";
const REQUEST_ID_HEADER = "x-request-id";
const REPUBLISH_SUFFIX = /\.r\d+$/;
const ERROR_LENGTH_MAX = 500;

const Envelope = Strict({
  event_id: Type.String({ pattern: "^[a-z]+\\.[1-9][0-9]{0,19}$" }),
  aggregate_id: Type.String(),
  aggregate_version: Type.Integer({ minimum: 0 }),
  occurred_at: Type.String({ format: "date-time" }),
  payload: Type.Unknown(),
});
export type Envelope = Static<typeof Envelope>;

/** An event ready to be published. */
export interface EventMessage {
  readonly name: EventName;
  readonly data: string;
  /** The message id is `<owner>.<outbox id>`, with `.r<n>` from the first republish on. */
  readonly headers: MsgHdrs;
}

/** What a consumer makes of a message. `eventId` is there even when nothing else can be read. */
export type DecodedMessage =
  | { readonly ok: true; readonly event: ConsumedEvent; readonly origin: EventOrigin }
  | {
      readonly ok: false;
      readonly eventId: string;
      readonly fault: string;
      readonly origin: EventOrigin;
    };

export function encodeEvent(owner: EventOwner, row: OutboxRow): EventMessage {
  const eventId = `${owner}.${row.id}`;
  const fields = JSON.stringify({
    event_id: eventId,
    aggregate_id: row.aggregateId,
    aggregate_version: row.aggregateVersion,
    occurred_at: row.createdAt.toISOString(),
  });
  const messageHeaders = headers();
  if (row.traceparent !== null) messageHeaders.set(TRACEPARENT_HEADER, row.traceparent);
  if (row.traceLinks !== null) messageHeaders.set(TRACE_LINKS_HEADER, row.traceLinks);
  if (row.requestId !== null) messageHeaders.set(REQUEST_ID_HEADER, row.requestId);
  const suffix = row.publishCount === 0 ? "" : `.r${row.publishCount}`;
  messageHeaders.set(MESSAGE_ID_HEADER, eventId + suffix);
  return {
    name: row.name,
    data: `${fields.slice(0, -1)},"payload":${row.payload}}`,
    headers: messageHeaders,
  };
}

export function decodeMessage(name: EventName, message: StreamMessage): DecodedMessage {
  const origin = originOf(message);
  const decoded = decodeEnvelope(name, message.text());
  if (typeof decoded !== "string") return { ok: true, event: decoded, origin };
  return { ok: false, eventId: eventIdOf(message), fault: decoded, origin };
}

/** The event in an envelope's text, or a sentence that says what is wrong with it. */
export function decodeEnvelope(name: EventName, text: string): ConsumedEvent | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return "the message is not JSON";
  }
  const outer = faultsOf(Envelope, parsed);
  if (outer.length > 0) return describe("the envelope", outer);
  const envelope = parsed as Envelope;
  const inner = faultsOf(EVENT_CATALOGUE[name].payload, envelope.payload);
  if (inner.length > 0) return describe("the payload", inner);
  return {
    id: envelope.event_id,
    name,
    aggregateId: envelope.aggregate_id,
    aggregateVersion: envelope.aggregate_version,
    payload: envelope.payload as ConsumedEvent["payload"],
    occurredAt: new Date(envelope.occurred_at),
  };
}

function describe(
  part: string,
  faults: readonly { readonly field: string; readonly message: string }[],
): string {
  const list = faults.map((fault) => `${fault.field} ${fault.message}`).join("; ");
  return `${part} is not as catalogued: ${list}`.slice(0, ERROR_LENGTH_MAX);
}

function originOf(message: StreamMessage): EventOrigin {
  const links = message.header(TRACE_LINKS_HEADER)?.split(",", TRACE_LINKS_MAX);
  return {
    traceparent: message.header(TRACEPARENT_HEADER),
    ...(links === undefined ? {} : { links }),
    requestId: message.header(REQUEST_ID_HEADER),
  };
}

/** The event's id from the message id; a foreign message is named by its place in the stream. */
function eventIdOf(message: StreamMessage): string {
  const messageId = message.header(MESSAGE_ID_HEADER);
  if (messageId === undefined) return `stream.${message.stream}.${message.sequence}`.slice(0, 64);
  return messageId.replace(REPUBLISH_SUFFIX, "").slice(0, 64);
}

/** Whether the event was published before under another message id. */
export function isRepublished(message: StreamMessage): boolean {
  return REPUBLISH_SUFFIX.test(message.header(MESSAGE_ID_HEADER) ?? "");
}
