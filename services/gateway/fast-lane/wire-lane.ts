// Puts the fast lane together for one gateway: its ports are actions of the sale's service, its figures
// go to the metrics every few seconds and to the live view.
import type { IncomingMessage } from "node:http";
import type { PlatformNode } from "../../node.ts";
import { createPurchasePasses } from "../../../mixins/auth/purchase-passes.ts";
import { parseTraceparent } from "../../../mixins/tracing/traceparent.ts";
import { call } from "../../contracts/actions.ts";
import type { TellAnswer } from "../answer-tally.ts";
import { createClientAddress } from "../client-address.ts";
import { createCors } from "../preflight.ts";
import type { Sessions } from "../sessions.ts";
import { type AdmissionPort, createAdmissions } from "./admissions.ts";
import { BUY_ROUTE } from "./buy-request.ts";
import { type Answered, createFastLane, type FastLane } from "./fast-lane.ts";
import { createLoadGuard, type LoadGuard } from "./load-guard.ts";
import { createFigureBook, type FigureBook } from "./sale-figures.ts";
import { createSaleSnapshots } from "./sale-snapshots.ts";
import { createSoldOutMarks } from "./sold-out-marks.ts";

export interface WiredLane extends FastLane {
  readonly figures: FigureBook;
  readonly load: Pick<LoadGuard, "lagShare">;
  start(): void;
  stop(): void;
  /** A sale has changed, or has units again. */
  hint(saleId: string): void;
  /** Called for every answer, after it was sent. */
  onAnswer(listener: (answered: Answered) => void): void;
}

export function wireFastLane(
  node: PlatformNode,
  sessions: Sessions,
  tellAnswer: TellAnswer,
): WiredLane {
  const { broker, clock, log, settings, metrics } = node;
  const fetch = async () => (await call(broker, "seckill.snapshots", {})).items;
  const snapshots = createSaleSnapshots({ fetch, clock, log });
  const marks = createSoldOutMarks({
    port: { holders: (params) => call(broker, "seckill.holders", params) },
    clock,
    log,
  });
  const load = createLoadGuard();
  const figures = createFigureBook();
  const tell = createTeller(node, figures, tellAnswer);
  const listeners: ((answered: Answered) => void)[] = [];
  const { JWT_SECRET: current, JWT_PREVIOUS_SECRET: previous } = settings;
  const lane = createFastLane({
    tokens: node.tokens,
    rules: node.rules,
    sessions,
    passes: createPurchasePasses({ current, previous }, clock),
    addressOf: createClientAddress(settings.TRUSTED_PROXIES),
    limits: {
      user: settings.RATE_LIMIT_PER_USER_RPS,
      ip: settings.RATE_LIMIT_PER_IP_RPS,
      node: settings.RATE_LIMIT_GLOBAL_RPS,
    },
    snapshots,
    marks,
    admissions: createAdmissions({
      port: portOf(node),
      clock,
      log,
      onSoldOut: (id) => marks.note(id),
    }),
    load,
    clock,
    isTraced: createSampling(node),
    corsOf: createCors(settings.CORS_ORIGINS),
    onLimited: (rule) => metrics.increment("app_rate_limited_total", { rule }),
    onAnswer: (answered) => {
      tell(answered);
      for (const listener of listeners) listener(answered);
    },
  });
  return {
    take: (request, response) => lane.take(request, response),
    drain: () => lane.drain(),
    figures,
    load,
    onAnswer: (listener) => void listeners.push(listener),
    hint(saleId) {
      marks.clear(saleId);
      void snapshots.poll();
    },
    start() {
      snapshots.start();
      load.start();
    },
    stop() {
      snapshots.stop();
      load.stop();
    },
  };
}

/** Follows the caller's decision; without one takes its share, which the ordinary way then traces. */
function createSampling({ settings, random }: PlatformNode): (request: IncomingMessage) => boolean {
  if (settings.JAEGER_ENDPOINT === "") return () => false;
  return ({ headers: { traceparent } }) => {
    const parent = parseTraceparent(typeof traceparent === "string" ? traceparent : undefined);
    return parent?.isSampled ?? random() < settings.TRACE_RATIO;
  };
}

function portOf({ broker }: PlatformNode): AdmissionPort {
  return {
    async admit(saleId, candidates) {
      const params = { sale_id: saleId, candidates: [...candidates] };
      return (await call(broker, "seckill.admit", params)).items;
    },
    async outcome(saleId, orderIds, waitMs) {
      const params = { sale_id: saleId, order_ids: [...orderIds], wait_ms: waitMs };
      return (await call(broker, "seckill.outcome", params)).items;
    },
  };
}

/** Counts outcomes in plain numbers; the metrics take them over when they are collected. */
function createTeller({ metrics }: PlatformNode, figures: FigureBook, tellAnswer: TellAnswer) {
  const outcomes = new Map<string, number>();
  metrics.onCollect(() => {
    for (const [outcome, count] of outcomes) {
      metrics.increment("app_seckill_answers_total", { outcome }, count);
    }
    outcomes.clear();
  });
  return ({ saleId, userId, requestId, answer, status, durationMs }: Answered): void => {
    const outcome = answer.kind === "refused" ? answer.slug : answer.kind;
    figures.count(saleId, outcome, durationMs);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    tellAnswer({ method: "POST", route: BUY_ROUTE, status, requestId, userId, durationMs });
  };
}
