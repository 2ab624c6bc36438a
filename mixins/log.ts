// One JSON logger for everything. A line carries the request it belongs to; fields that could hold
// a secret are removed by name at any of the depths where they occur.
import { pino } from "pino";
import { currentContext } from "./context.ts";

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
  child(fields: object): Log;
}

/** Names of fields that are never written, here and one or two levels down. */
const REDACTED = [
  "password",
  "current_password",
  "new_password",
  "token",
  "access_token",
  "refresh_token",
  "authorization",
  "cookie",
  "secret",
  "signature",
  "webhook-signature",
  "raw_body",
  "phone",
  "street",
] as const;
const DEPTHS = ["", "*.", "*.*."] as const;

export function createLog(level: string, fields: object): Log {
  return pino({
    level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: DEPTHS.flatMap((depth) =>
        REDACTED.map((name) => (depth === "" ? `["${name}"]` : `${depth.slice(0, -1)}["${name}"]`)),
      ),
      remove: true,
    },
    serializers: { err: pino.stdSerializers.err },
    mixin() {
      const context = currentContext();
      return context === undefined
        ? {}
        : {
            request_id: context.requestId,
            trace_id: context.traceparent?.split("-")[1],
            user_id: context.userId,
          };
    },
  });
}
