// Spans of SQL statements and Redis commands, under their names and never with their values. They are
// made when the answer is there, and only for work whose trace is sampled.
import type { Clock } from "../../services/kernel/clock.ts";
import type { ObservedCommand } from "../metrics/observed-command.ts";
import type { SpanStarter } from "./consumer-spans.ts";
import { tellPastSpan } from "./past-span.ts";
import { isSampled, parseTraceparent } from "./traceparent.ts";

/** The service a span stands under: the server that did the work. */
export type TracedServer = "mysql" | "redis";

export type TellServerSpan = (server: TracedServer, command: ObservedCommand) => void;

/** Errors of drivers quote statements and values; the log has them. */
const FAILED = { name: "Error" } as const;

/** Undefined when this process does not trace. */
export function createServerSpans(tracer: SpanStarter, clock: Clock): TellServerSpan | undefined {
  if (!tracer.isEnabled()) return undefined;
  return (server, { name, ms, isOk, context }) => {
    if (context === undefined || !isSampled(context.traceparent)) return;
    const parent = parseTraceparent(context.traceparent);
    if (parent === undefined) return;
    const endedMs = clock.now();
    tellPastSpan(tracer, {
      name,
      startedMs: endedMs - ms,
      endedMs,
      ...(isOk ? {} : { error: FAILED }),
      options: {
        type: "client",
        service: server,
        traceID: parent.traceId,
        parentID: parent.parentId,
        tags: { "db.system": server, "db.operation": name, request_id: context.requestId },
      },
    });
  };
}
