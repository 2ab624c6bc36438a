// One JSON logger for everything. A line carries the request it belongs to; fields that could hold
// a secret are removed by name at any of the depths where they occur.
import { type LoggerOptions, pino } from "pino";
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

/** Fields of an error that are written; others may hold a request's values or an SQL text. */
const ERROR_FIELDS = ["code", "type", "slug", "errno", "statement", "number", "nodeID"] as const;
const CAUSES_MAX = 4;

export function createLog(level: string, fields: object): Log {
  return pino(logOptions(level, fields));
}

/** For the platform's own logger and for the framework's: both write the same form of line. */
export function logOptions(level: string, fields: object): LoggerOptions {
  return {
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
    serializers: { err: (error: unknown) => describeError(error, CAUSES_MAX) },
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
  };
}

function describeError(error: unknown, causesLeft: number): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const known = ERROR_FIELDS.filter((field) => field in error);
  return {
    name,
    message,
    stack,
    ...Object.fromEntries(known.map((field) => [field, (error as unknown as Fields)[field]])),
    ...(cause === undefined || causesLeft === 0
      ? {}
      : { cause: describeError(cause, causesLeft - 1) }),
  };
}

type Fields = Readonly<Record<(typeof ERROR_FIELDS)[number], unknown>>;
