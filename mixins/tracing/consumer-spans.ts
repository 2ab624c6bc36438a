// Spans of consumers: one per batch of events, in the trace of the batch's first sampled event, that
// follows from all others, and from all requests that share an event. Where nothing is sampled there is no span object at all.
import type { EventOrigin } from "../outbox/outbox.ts";
import { parseTraceparent, type TraceParent } from "./traceparent.ts";

/** Links beyond this say nothing that the number of events does not. */
const FOLLOWED_SPANS_MAX = 64;

export interface ConsumerSpan {
  readonly id: string;
  readonly traceID: string;
  readonly sampled: boolean;
  setError(error: unknown): unknown;
  /** By the wall clock; now when absent. */
  finish(endedMs?: number): unknown;
}

/** Moleculer's tracer, as far as it is needed. */
export interface SpanStarter {
  isEnabled(): boolean;
  startSpan(name: string, options: object): ConsumerSpan;
}

/** What a delivery must tell of itself. */
export interface Originated {
  readonly origin: EventOrigin;
}

export interface StartedBatch<D extends Originated> {
  readonly span: ConsumerSpan;
  /** The delivery whose trace the span belongs to. */
  readonly lead: D;
}

export interface ConsumerSpans {
  /** Undefined when no event of the batch is sampled. The caller finishes the span. */
  start<D extends Originated>(event: string, batch: readonly D[]): StartedBatch<D> | undefined;
}

/** @param service name the spans stand under. Undefined when the process does not trace. */
export function createConsumerSpans(
  tracer: SpanStarter,
  service: string,
): ConsumerSpans | undefined {
  if (!tracer.isEnabled()) return undefined;
  return {
    start(event, batch) {
      const index = batch.findIndex(
        ({ origin }) => sampledContext(origin.traceparent) !== undefined,
      );
      const lead = batch[index];
      const parent = lead === undefined ? undefined : sampledContext(lead.origin.traceparent);
      if (lead === undefined || parent === undefined) return undefined;
      const span = tracer.startSpan(`consume ${event}`, {
        type: "consumer",
        service,
        traceID: parent.traceId,
        parentID: parent.parentId,
        sampled: true,
        follows: followed(batch.slice(index), parent),
        tags: { event, events: batch.length, request_id: lead.origin.requestId },
      });
      return { span, lead };
    },
  };
}

function sampledContext(header: string | undefined): TraceParent | undefined {
  const parent = parseTraceparent(header);
  return parent?.isSampled === true ? parent : undefined;
}

/** Every other producer's span once. */
function followed(batch: readonly Originated[], parent: TraceParent): readonly TraceParent[] {
  const spans = new Map<string, TraceParent>();
  for (const { origin } of batch) {
    for (const header of [origin.traceparent, ...(origin.links ?? [])]) {
      const other = sampledContext(header);
      if (other === undefined || other.parentId === parent.parentId) continue;
      spans.set(other.parentId, other);
      if (spans.size === FOLLOWED_SPANS_MAX) return [...spans.values()];
    }
  }
  return [...spans.values()];
}
