// The one place of broker options. Every value has its reason in docs/adr or in the comment here.
import type { BrokerOptions, Context, Middleware } from "moleculer";
import type { Settings } from "./config/schema.ts";
import { logOptions } from "./mixins/log.ts";
import {
  isConnectionError,
  isNodeFailure,
  MIDDLEWARE_ORDER,
} from "./mixins/resilience/middlewares.ts";
import { remoteBreakerMiddleware } from "./mixins/resilience/remote-breaker.middleware.ts";
import { ReleaseStrategy } from "./mixins/resilience/release-strategy.ts";
import type { CallMeta } from "./mixins/service.ts";
import { createJaegerExporter } from "./mixins/tracing/jaeger-exporter.ts";
import { sampledTracingMiddleware } from "./mixins/tracing/sampled-tracing.middleware.ts";
import { TypeBoxValidator } from "./mixins/validation/validator.ts";
import { systemClock } from "./services/kernel/clock.ts";

const CALL_LEVEL_MAX = 20;
const DEPENDENCY_INTERVAL_MS = 100;
const HEARTBEAT_INTERVAL_S = 2;
const HEARTBEAT_TIMEOUT_S = 5;

export interface BrokerParts {
  readonly settings: Settings;
  readonly nodeId: string;
  /** First = innermost, around Moleculer's own. */
  readonly middlewares: readonly Middleware[];
}

export function brokerOptions({ settings, nodeId, middlewares }: BrokerParts): BrokerOptions {
  return {
    namespace: settings.NAMESPACE,
    nodeID: nodeId,
    logger: {
      type: "Pino",
      options: { pino: { options: logOptions(settings.LOG_LEVEL, { node: nodeId }) } },
    },
    logLevel: settings.LOG_LEVEL,
    transporter: { type: "NATS", options: natsOptions(settings.NATS_URL) },
    // The default 0 waits for ever: a call in flight to a killed node hung for 52 s.
    requestTimeout: settings.REQUEST_TIMEOUT_MS,
    maxCallLevel: CALL_LEVEL_MAX,
    dependencyInterval: DEPENDENCY_INTERVAL_MS,
    heartbeatInterval: HEARTBEAT_INTERVAL_S,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_S,
    // Without tracking a graceful stop rejects the calls that are under way.
    tracking: { enabled: true, shutdownTimeout: settings.SHUTDOWN_TIMEOUT_MS },
    // A local node of another release must not be preferred: the strategy knows what is local.
    registry: { strategy: ReleaseStrategy, preferLocal: false },
    metadata: { version: settings.VERSION },
    validator: new TypeBoxValidator({}),
    circuitBreaker: {
      enabled: true,
      threshold: 0.5,
      minRequestCount: 10,
      windowTime: 10,
      // What was under way when the circuit opened fails its trials too, for as long as a call may take.
      halfOpenTime: 1_000,
      check: isNodeFailure,
    },
    bulkhead: { enabled: false, concurrency: 500, maxQueueSize: 1_000 },
    retryPolicy: {
      enabled: false,
      retries: 1,
      delay: 50,
      maxDelay: 200,
      factor: 2,
      check: isConnectionError,
    },
    internalMiddlewares: false,
    middlewares: [...middlewares, ...MIDDLEWARE_ORDER.map(ownInstead)] as (Middleware | string)[],
    tracing: tracingOptions(settings),
    metrics: false,
    // main.ts owns the signals: readiness goes off and listeners close before the broker stops.
    skipProcessEventRegistration: true,
    errorHandler: (error) => {
      throw error;
    },
  };
}

/** Ours stand where Moleculer's stand. */
function ownInstead(name: (typeof MIDDLEWARE_ORDER)[number]): Middleware | string {
  if (name === "Tracing") return sampledTracingMiddleware(systemClock);
  return name === "CircuitBreaker" ? remoteBreakerMiddleware() : name;
}

export function natsOptions(url: string): object {
  const { hostname, port, username, password, searchParams } = new URL(url);
  const token = searchParams.get("token");
  return {
    servers: `${hostname}:${port === "" ? "4222" : port}`,
    ...(username === "" ? {} : { user: decodeURIComponent(username) }),
    ...(password === "" ? {} : { pass: decodeURIComponent(password) }),
    ...(token === null ? {} : { token }),
    // A half-open socket is noticed after 20 s instead of minutes.
    pingInterval: 10_000,
    maxPingOut: 2,
    reconnectTimeWait: 500,
    maxReconnectAttempts: -1,
  };
}

type TracingExporter = "Jaeger";

function tracingOptions(settings: Settings): NonNullable<BrokerOptions["tracing"]> {
  if (settings.JAEGER_ENDPOINT === "") return { enabled: false };
  return {
    enabled: true,
    events: true,
    sampling: { rate: settings.TRACE_RATIO },
    // Parameters hold passwords and addresses, messages and data of errors may quote them; spans
    // carry names only.
    tags: { action: requestTags, event: { params: false } },
    errorFields: ["name", "code", "type"],
    exporter: jaegerExporter(settings.JAEGER_ENDPOINT),
  };
}

/** Moleculer's types know exporters by name only. */
function jaegerExporter(endpoint: string): TracingExporter {
  return createJaegerExporter(endpoint) as unknown as TracingExporter;
}

function requestTags({ meta }: Context): { request_id: string | undefined } {
  return { request_id: (meta as CallMeta).requestId };
}
