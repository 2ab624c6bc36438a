// Stores events in the transaction that makes them true. Nothing here publishes: the relay does,
// after the commit, so that an event tells only of what has happened and is never forgotten.
import { assert } from "../../services/kernel/assert.ts";
import { EVENT_CATALOGUE, type NewEvent } from "../../services/contracts/events.ts";
import { currentContext } from "../context.ts";
import { sql, type Transaction } from "../database/database.ts";
import { TRACE_LINKS_MAX } from "../tracing/traceparent.ts";
import { faultsOf } from "../validation/ajv.ts";

export const EVENTS_PER_APPEND_MAX = 1_000;
/** Half of the message server's limit of 1 MiB; the envelope and headers need some of the rest. */
export const EVENT_PAYLOAD_BYTES_MAX = 512 * 1024;
/** Width of the column; a longer id is cut, it serves for reading only. */
const REQUEST_ID_LENGTH_MAX = 64;

const INSERT_EVENTS = sql(
  "outbox.append",
  `INSERT INTO outbox
     (name, aggregate_id, aggregate_version, payload, traceparent, trace_links, request_id)
   VALUES ?`,
);

/** The request an event belongs to. Travels with the event to whoever consumes it. */
export interface EventOrigin {
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
  /** Trace contexts of the other requests that made the event. */
  readonly links?: readonly string[] | undefined;
}

/** An event of a shared commit, with the request it belongs to. */
export type OriginatedEvent = NewEvent & { readonly origin?: EventOrigin | undefined };

/**
 * Stores the events in one statement. An event without an origin of its own has `origin`, the
 * present request when not given. An event that its catalogue row does not allow is a programmer
 * error: an AssertionError, nothing is stored.
 */
export async function appendEvents(
  tx: Transaction,
  events: readonly OriginatedEvent[],
  origin: EventOrigin | undefined = currentContext(),
): Promise<void> {
  if (events.length === 0) return;
  assert(events.length <= EVENTS_PER_APPEND_MAX, `${events.length} events in one append`);
  const rows = events.map((event) => {
    const { traceparent, links, requestId } = event.origin ?? origin ?? {};
    return [
      event.name,
      event.aggregateId,
      event.aggregateVersion,
      checkedPayload(event),
      traceparent ?? null,
      links?.slice(0, TRACE_LINKS_MAX).join(",") ?? null,
      requestId?.slice(0, REQUEST_ID_LENGTH_MAX) ?? null,
    ];
  });
  await tx.run(INSERT_EVENTS, [rows]);
}

function checkedPayload({ name, payload }: NewEvent): string {
  const faults = faultsOf(EVENT_CATALOGUE[name].payload, payload);
  const first = faults[0];
  assert(
    first === undefined,
    `${name} is not as catalogued: ${first?.field ?? ""} ${first?.message ?? ""}`,
  );
  const text = JSON.stringify(payload);
  assert(Buffer.byteLength(text) <= EVENT_PAYLOAD_BYTES_MAX, `${name} is too large`);
  return text;
}
