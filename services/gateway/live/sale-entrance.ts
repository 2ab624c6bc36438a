// What the gateway has for flash sales beside its ordinary routes: the fast lane, the event streams, the
// live page. One object, so that the gateway's service needs to know no more than where to ask it.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context, ServiceSchema } from "moleculer";
import { call } from "../../contracts/actions.ts";
import { PlatformError } from "../../contracts/errors.ts";
import { SALE_HINT_EVENT, type SaleHint } from "../../contracts/seckill.ts";
import type { PlatformNode } from "../../node.ts";
import type { TellAnswer } from "../answer-tally.ts";
import { createAuthenticate } from "../authenticate.ts";
import {
  attemptActions,
  attemptNotes,
  type NoteAttempt,
  storyComposition,
} from "../buyer-story.ts";
import type { Composition } from "../compositions.ts";
import { createAttemptMemory } from "../fast-lane/attempt-memory.ts";
import { BUY_ROUTE } from "../fast-lane/buy-request.ts";
import type { LoadGuard } from "../fast-lane/load-guard.ts";
import { wireFastLane } from "../fast-lane/wire-lane.ts";
import type { OwnActions } from "../own-actions.ts";
import type { RequestSignatures } from "../request-signatures.ts";
import type { Sessions } from "../sessions.ts";
import { createFigureExchange, FIGURES_EVENT, type FiguresHint } from "./figure-exchange.ts";
import { livePageHandlers } from "./live-page.ts";
import { createSaleEvents } from "./sale-events.ts";
import { saleEvent } from "./sale-feed.ts";

const NOT_KNOWN = { rule: "additionalProperties", message: "is not known" } as const;
const SALE_ID_FORM = /^[1-9][0-9]{0,18}$/;

export interface SaleEntrance {
  /** The fast lane, to be asked before anything else; false when the request is not for it. */
  buy(request: IncomingMessage, response: ServerResponse): boolean;
  /** The event streams, to be asked before the router; false when the request is not for them. */
  watch(request: IncomingMessage, response: ServerResponse): boolean;
  /** How busy this process is. */
  readonly load: Pick<LoadGuard, "lagShare">;
  /** For purchases that the router gets. */
  readonly noteAttempt: NoteAttempt;
  readonly compositions: Readonly<Record<string, Composition>>;
  readonly actions: NonNullable<ServiceSchema["actions"]>;
  /** What the router gets of the stream's route: a HEAD, or another spelling of its URL. */
  readonly own: OwnActions;
  /** Handlers of routes at the root. */
  readonly pages: ReturnType<typeof livePageHandlers>;
  /** Listeners of the gateway's service. */
  readonly events: Readonly<Record<string, (ctx: Context<never>) => void>>;
  start(): void;
  /** Ends the streams; what is under way in the lane is still answered. */
  stop(): void;
}

export interface EntranceParts {
  readonly sessions: Sessions;
  readonly signatures: Pick<RequestSignatures, "isRequired">;
  readonly tell: TellAnswer;
}

export function createSaleEntrance(
  node: PlatformNode,
  { sessions, signatures, tell }: EntranceParts,
): SaleEntrance {
  const isSigned = signatures.isRequired(BUY_ROUTE);
  const lane = wireFastLane(node, sessions, tell);
  const exchange = createFigureExchange(node.broker, lane.figures);
  const streams = createSaleEvents(node, createAuthenticate(node.tokens, sessions), exchange);
  const attempts = createAttemptMemory(node.clock);
  lane.onAnswer(({ saleId, userId, requestId, answer, durationMs }) => {
    exchange.touch(saleId);
    if (userId === undefined) return;
    streams.nudge(saleId, userId);
    const outcome = answer.kind === "refused" ? answer.slug : answer.kind;
    attempts.note({ saleId, userId, requestId, outcome, durationMs });
  });
  return {
    load: lane.load,
    // What must be signed is checked by the ordinary way.
    buy: (request, response) => !isSigned && lane.take(request, response),
    noteAttempt: attemptNotes(attempts, node.clock),
    compositions: { "seckill.mine": storyComposition(attempts) },
    actions: attemptActions(attempts),
    watch: (request, response) => streams.take(request, response),
    own: {
      async "gateway.watchSale"({ request, path }) {
        const id = path["id"] ?? "";
        if (!SALE_ID_FORM.test(id)) throw new PlatformError("SECKILL_SALE_NOT_FOUND");
        const unknown = Object.keys(request.query).map((field) => ({ field, ...NOT_KNOWN }));
        if (unknown.length > 0) throw new PlatformError("VALIDATION_FAILED", unknown);
        return saleEvent(await call(request.$ctx, "seckill.getSale", { id }));
      },
    },
    pages: livePageHandlers(),
    events: {
      [SALE_HINT_EVENT]: ({ params }: Context<SaleHint>) => {
        lane.hint(params.sale_id);
      },
      [FIGURES_EVENT]: ({ params, nodeID }: Context<FiguresHint>) => {
        exchange.receive(nodeID ?? "", params);
      },
    },
    start() {
      lane.start();
      exchange.start();
    },
    stop() {
      lane.drain();
      lane.stop();
      exchange.stop();
      streams.stop();
    },
  };
}
