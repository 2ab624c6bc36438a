// What is told of an HTTP request when it is over: two metrics, and a line in the log when asked for.
// Never the URL: it may hold what somebody searched for.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../../mixins/log.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import type { Clock } from "../kernel/clock.ts";
import { requestIdOf } from "./http-errors.ts";

/** Label of what is on no route: unknown paths and methods, and files of the documentation. */
const NO_ROUTE = "none";
/** Status shown when the client went away before the answer began. */
const CLIENT_GONE = 499;

export interface RequestFacts {
  readonly startedMs: number;
  readonly method: string;
  /** Label of the route, such as `POST /orders`. */
  route: string;
  userId: string | undefined;
  /** Set while a grey release is on. */
  release?: string;
  traceId: string | undefined;
}

export type ObserveRequest = (request: IncomingMessage, response: ServerResponse) => void;

export interface ObserverParts {
  readonly metrics: Pick<Metrics, "increment" | "observe">;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether every request gets a line. */
  readonly isLogging: boolean;
}

const FACTS = Symbol("facts");
type Observed = ServerResponse & { [FACTS]?: RequestFacts };

/** Undefined for a response that is not observed. */
export function factsOf(response: ServerResponse): RequestFacts | undefined {
  return (response as Observed)[FACTS];
}

export function createRequestObserver(parts: ObserverParts): ObserveRequest {
  const { clock } = parts;
  function end(this: ServerResponse): void {
    const facts = factsOf(this);
    if (facts !== undefined) tell(parts, this, facts);
  }
  return ({ method = "" }, response) => {
    (response as Observed)[FACTS] = {
      startedMs: clock.monotonic(),
      method,
      route: NO_ROUTE,
      userId: undefined,
      traceId: undefined,
    };
    response.once("close", end);
  };
}

function tell(
  { metrics, clock, log, isLogging }: ObserverParts,
  response: ServerResponse,
  { startedMs, method, route, userId, traceId, release }: RequestFacts,
): void {
  const durationMs = clock.monotonic() - startedMs;
  const status = response.headersSent ? response.statusCode : CLIENT_GONE;
  metrics.increment("app_http_requests_total", { route, status });
  metrics.observe("app_http_request_duration_ms", { route }, durationMs);
  if (release !== undefined) {
    metrics.increment("app_release_requests_total", { release, status });
    metrics.observe("app_release_request_duration_ms", { release }, durationMs);
  }
  if (!isLogging) return;
  const requestId = requestIdOf(response);
  logRequest(log, { requestId, traceId, userId, method, route, status, durationMs });
}

/** A request that is over, as its line in the log has it. */
export interface EndedRequest extends Omit<RequestFacts, "startedMs" | "release"> {
  readonly requestId: string | undefined;
  readonly status: number;
  readonly durationMs: number;
}

export function logRequest(log: Pick<Log, "info">, ended: EndedRequest): void {
  const { requestId, traceId, userId, method, route, status, durationMs } = ended;
  const fields = {
    request_id: requestId,
    trace_id: traceId,
    user_id: userId,
    method,
    route,
    status,
    duration_ms: Math.round(durationMs),
  };
  log.info(fields, "request");
}
