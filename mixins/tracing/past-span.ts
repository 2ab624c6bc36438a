// A span of something that is over: made when it is known that it is wanted, with the times it had.
import type { ConsumerSpan, SpanStarter } from "./consumer-spans.ts";

export interface PastSpan {
  readonly name: string;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly error?: unknown;
  /** As for Moleculer's tracer: type, service, traceID, parentID, tags. */
  readonly options: object;
}

export function tellPastSpan(tracer: SpanStarter, past: PastSpan): void {
  const options = { ...past.options, sampled: true };
  const span = tracer.startSpan(past.name, options) as ConsumerSpan & { startTime: number };
  span.startTime = past.startedMs;
  if (past.error !== undefined) span.setError(past.error);
  span.finish(past.endedMs);
}
