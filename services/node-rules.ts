// The operator's rules on one node: what it knows of them, where they are held, and what turns a switch
// on by itself. node.ts puts it into the broker.
import type { Middleware, ServiceBroker, ServiceSchema } from "moleculer";
import type { Settings } from "../config/schema.ts";
import type { Log } from "../mixins/log.ts";
import type { Metrics } from "../mixins/metrics/metrics.ts";
import { createRuleBoard, type RuleBoard } from "../mixins/rules/rule-board.ts";
import { ruleMiddleware } from "../mixins/rules/rule-middleware.ts";
import { createTripWatch, type Trip, type TripThresholds } from "../mixins/rules/trip-watch.ts";
import { call } from "./contracts/actions.ts";
import { RULES_HINT_EVENT } from "./contracts/operations.ts";
import type { Clock } from "./kernel/clock.ts";

/** Asking for rules is one small read; whoever cannot answer soon is asked again. */
const ASK_TIMEOUT_MS = 1_000;

export interface NodeRulesParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The node's broker, which is made after this. */
  readonly broker: () => ServiceBroker;
}

export interface NodeRules {
  readonly board: RuleBoard;
  /** Innermost first. */
  readonly middlewares: readonly Middleware[];
  /** Starts with the node and hears the hints. */
  readonly service: ServiceSchema;
}

export function createNodeRules(parts: NodeRulesParts): NodeRules {
  const { settings, clock, log, metrics, broker } = parts;
  const timeout = { timeout: ASK_TIMEOUT_MS };
  const board = createRuleBoard({
    fetch: async (afterSeq) =>
      (await call(broker(), "operations.rulesAfter", { after_seq: afterSeq }, timeout)).items,
    clock,
    log,
    metrics,
  });
  const trips = createTripWatch({
    thresholds: thresholdsOf(settings),
    clock,
    isOn: (name, target) => board.isOn(name, target),
    report: (trip) => void report(parts, trip),
    busyShare: createBusyShare(),
  });
  const service = {
    name: "rule-board",
    events: { [RULES_HINT_EVENT]: () => board.poll() },
    started() {
      board.start();
      trips.start();
    },
    stopped() {
      trips.stop();
      board.stop();
    },
  } as unknown as ServiceSchema;
  return { board, middlewares: [trips.middleware(), ruleMiddleware(board)], service };
}

async function report({ broker, log }: NodeRulesParts, trip: Trip): Promise<void> {
  log.warn(trip, "a threshold asks for a switch");
  await call(broker(), "operations.trip", { ...trip }).catch((error: unknown) => {
    log.warn({ err: error }, "the switch could not be turned on");
  });
}

function thresholdsOf(settings: Settings): TripThresholds {
  return {
    browsingFailedPercent: settings.TRIGGER_BROWSING_FAILED_PERCENT,
    browsingBusyPercent: settings.TRIGGER_BROWSING_BUSY_PERCENT,
    ordersFailedPercent: settings.TRIGGER_ORDERS_FAILED_PERCENT,
    channelFailedPercent: settings.TRIGGER_CHANNEL_FAILED_PERCENT,
  };
}

function createBusyShare(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
