// One process of the platform: its settings, ports and connections. Services get what they need
// from here by their `wire(node)`; connections are made on first use and closed in reverse order.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { ServiceBroker, type ServiceSchema } from "moleculer";
import type { Settings } from "../config/schema.ts";
import { authMiddleware } from "../mixins/auth/auth.middleware.ts";
import { type AccessTokens, createAccessTokens } from "../mixins/auth/tokens.ts";
import { createIds, type LeasedIds } from "../mixins/ids/snowflake-ids.ts";
import { createLog, type Log } from "../mixins/log.ts";
import { metricsMiddleware } from "../mixins/metrics/metrics.middleware.ts";
import { createMetrics, type MetricsSource } from "../mixins/metrics/metrics.ts";
import type { RuleBoard } from "../mixins/rules/rule-board.ts";
import {
  contextMiddleware,
  deadlineMiddleware,
  failureMiddleware,
} from "../mixins/resilience/middlewares.ts";
import { continueContextMiddleware } from "../mixins/tracing/continue-context.middleware.ts";
import { createServerSpans } from "../mixins/tracing/server-spans.ts";
import { brokerOptions } from "../moleculer.config.ts";
import { type Connections, createConnections } from "./connections.ts";
import { call } from "./contracts/actions.ts";
import { type Clock, systemClock } from "./kernel/clock.ts";
import { type Failpoint, noFailpoint } from "./kernel/failpoint.ts";
import { createNodeRules } from "./node-rules.ts";

export interface PlatformNode extends Connections {
  readonly settings: Settings;
  readonly nodeId: string;
  readonly broker: ServiceBroker;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly failpoint: Failpoint;
  readonly metrics: MetricsSource;
  readonly tokens: AccessTokens;
  /** The operator's switches, lists and limits as this node knows them. */
  readonly rules: RuleBoard;
  /** Keeps `rules` in step; part of every node. */
  readonly ruleService: ServiceSchema;
  /** Usable once this node has leased a worker id; refuses with SERVICE_UNAVAILABLE before. */
  readonly ids: LeasedIds;
  /** Registers what must happen before the broker stops, such as closing a listener. */
  beforeStop(hook: () => Promise<void>): void;
  /** Runs the hooks of beforeStop, newest first. */
  prepareStop(): Promise<void>;
}

export interface NodeOptions {
  readonly settings: Settings;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly failpoint?: Failpoint;
}

/** The owner of a worker id is stored in 128 characters. */
const OWNER_NODE_LENGTH_MAX = 100;

export function createNode(options: NodeOptions): PlatformNode {
  const { settings, clock = systemClock, random = Math.random, failpoint = noFailpoint } = options;
  const nodeId =
    settings.NODE_ID === "" ? `${hostname()}-${randomUUID().slice(0, 8)}` : settings.NODE_ID;
  const log = createLog(settings.LOG_LEVEL, { node: nodeId });
  const tokens = createAccessTokens(
    { current: settings.JWT_SECRET, previous: settings.JWT_PREVIOUS_SECRET },
    clock,
  );
  const metrics = createMetrics();
  const rules = createNodeRules({ settings, clock, log, metrics, broker: () => broker });
  // First = innermost: a failure is logged inside its request's context, by a known caller.
  const middlewares = [
    failureMiddleware(log),
    contextMiddleware(),
    ...rules.middlewares,
    authMiddleware(tokens),
    deadlineMiddleware(clock),
    metricsMiddleware(metrics, clock),
    continueContextMiddleware(),
  ];
  const broker: ServiceBroker = new ServiceBroker(brokerOptions({ settings, nodeId, middlewares }));
  const tellSpan = createServerSpans(broker.tracer, clock);
  const connections = createConnections({ settings, nodeId, log, random, metrics, tellSpan });
  const ids = createIds({
    lease: (request) => call(broker, "user.leaseWorkerId", request),
    clock,
    // A restarted node is another owner: the process before it may still be alive somewhere.
    owner: `${nodeId.slice(0, OWNER_NODE_LENGTH_MAX)}:${randomUUID().slice(0, 8)}`,
    log,
    random,
  });
  const stopHooks: (() => Promise<void>)[] = [];
  return {
    settings,
    nodeId,
    broker,
    clock,
    random,
    log,
    failpoint,
    metrics,
    tokens,
    rules: rules.board,
    ruleService: rules.service,
    ids,
    beforeStop: (hook) => void stopHooks.push(hook),
    async prepareStop() {
      for (const hook of stopHooks.splice(0).reverse()) await hook();
    },
    ...connections,
    dependencies: () => [...connections.dependencies(), { name: "ids", probe: () => ids.probe() }],
  };
}
