// Refuses what an overloaded gateway does not take, before the router and all that is prepared for it: what moleculer-web
// makes of a request costs as much as a good part of the answer, and a machine that spends it on refusals has it not
// for those it has taken. The answer is the fast lane's, a text that is ready but for its ids.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import type { TellAnswer } from "./answer-tally.ts";
import { type CorsOf, extraHead, refusal, sendAnswer, statusOf } from "./fast-lane/answers.ts";
import { createCors, requestIdFor } from "./preflight.ts";
import { createRouteFinder, type FindRoute, type PublicRoute } from "./route-table.ts";
import { rankOf, type Shedding } from "./shedding.ts";

/** False when the request is to go on. */
export type ShedEarly = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface ShedEarlyParts {
  readonly findRoute: FindRoute;
  readonly shedding: Pick<Shedding, "isShort" | "refusalOf">;
  readonly clock: Clock;
  readonly corsOf: CorsOf;
  readonly tell: TellAnswer;
}

const ANSWER = refusal("OVERLOADED");
const STATUS = statusOf(ANSWER);

export interface ShedEarlyWiring extends Pick<ShedEarlyParts, "shedding" | "tell"> {
  readonly routes: readonly PublicRoute[];
}

export function wireShedEarly(
  { clock, settings }: PlatformNode,
  parts: ShedEarlyWiring,
): ShedEarly {
  const { routes, shedding, tell } = parts;
  const corsOf = createCors(settings.CORS_ORIGINS);
  return createShedEarly({ findRoute: createRouteFinder(routes), shedding, clock, corsOf, tell });
}

export function createShedEarly(parts: ShedEarlyParts): ShedEarly {
  const { findRoute, shedding, clock, corsOf, tell } = parts;
  return (request, response) => {
    if (!shedding.isShort()) return false;
    const route = findRoute(request);
    if (route === undefined || shedding.refusalOf(rankOf(route)) === undefined) return false;
    const startedMs = clock.monotonic();
    const { method = "", headers } = request;
    const requestId = requestIdFor(request);
    // After this turn a body that came with its head has been read, and the connection can stay.
    setImmediate(() => {
      // The rest of an unread body would be taken for the next request on this connection.
      sendAnswer(response, requestId, ANSWER, extraHead(corsOf, headers.origin, !request.complete));
      const durationMs = clock.monotonic() - startedMs;
      const { label } = route;
      tell({ method, route: label, status: STATUS, requestId, userId: undefined, durationMs });
    });
    return true;
  };
}
