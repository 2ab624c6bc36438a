// The span of an HTTP request: named by its route and without the URL, which moleculer-web would put
// into the name and a tag, search words and all.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "moleculer";
import type { CallMeta } from "../../mixins/service.ts";
import { factsOf } from "./request-observer.ts";

/** Until the route is known, and for requests that are on none. */
const UNROUTED = "HTTP";

type RestContext = Context<{ req: IncomingMessage; res: ServerResponse }, CallMeta, object>;

/** Tracing options of moleculer-web's internal `rest` action. */
export const REST_TRACING = {
  spanName: UNROUTED,
  /** Called before the handler and again when the answer has been sent. */
  tags({ params, meta }: RestContext): Record<string, unknown> {
    const { req, res } = params;
    return {
      request_id: meta.requestId,
      "http.method": req.method,
      "http.route": factsOf(res)?.route,
      "http.status_code": res.headersSent ? res.statusCode : undefined,
    };
  },
};

/** Names a request that has no span, for its metrics and its line in the log. */
export function nameRoute(response: ServerResponse, route: string): void {
  const facts = factsOf(response);
  if (facts !== undefined) facts.route = route;
}

/** Tells the route to everything that names the request: its span, its metrics, its line in the log. */
export function nameRequest(
  request: { readonly $ctx?: Pick<Context, "span"> },
  response: ServerResponse,
  route: string,
): void {
  const facts = factsOf(response);
  if (facts === undefined) return;
  facts.route = route;
  // Null when nothing is traced, whatever the types say.
  const span = request.$ctx?.span;
  if (span === null || span === undefined) return;
  span.name = route;
  facts.traceId = span.traceID;
}
