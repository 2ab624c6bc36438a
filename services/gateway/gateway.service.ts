// The public door: moleculer-web with its routes made from the contracts. It owns nothing durable;
// what it knows about a request it hands to the service that does the work.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { ServiceSchema } from "moleculer";
import ApiGateway from "moleculer-web";
import { PlatformError } from "../contracts/errors.ts";
import type { PlatformNode } from "../node.ts";
import { type ApiHandler, type ApiRequest, createApiHandler } from "./api-handler.ts";
import { createAnswerTally } from "./answer-tally.ts";
import { createAuthenticate } from "./authenticate.ts";
import { createClientAddress } from "./client-address.ts";
import { createCallOptions } from "./call-options.ts";
import { createCompositions } from "./compositions.ts";
import { publicSlug, requestIdOf, sendError } from "./http-errors.ts";
import { closeHttpServer, createHttpServer } from "./http-server.ts";
import { createGreyRelease } from "./grey-release.ts";
import { createSaleEntrance, type SaleEntrance } from "./live/sale-entrance.ts";
import { missingServices } from "./needed-services.ts";
import { openApiDocument } from "./openapi.ts";
import { ownActions } from "./own-actions.ts";
import { createPreflight } from "./preflight.ts";
import { FALLBACKS } from "./promised-orders.ts";
import { publicResult } from "./public-results.ts";
import { parseQuery } from "./query.ts";
import { createRateLimiter, limitRules } from "./rate-limit.ts";
import { createRateLimitStore } from "./rate-limit.store.ts";
import { createRequestObserver } from "./request-observer.ts";
import { wireRequestSignatures } from "./request-signatures.ts";
import { nameRequest, REST_TRACING } from "./request-span.ts";
import { createRootHandlers, rootMethods, serveDocsAssets } from "./root-routes.ts";
import { allowedMethods, API_PREFIX, publicRoutes, type PublicRoute } from "./route-table.ts";
import { createSessions, type Sessions } from "./sessions.ts";
import { type ShedEarly, wireShedEarly } from "./shed-early.ts";
import { createShedding } from "./shedding.ts";
import { createShelf } from "./shelf.ts";

type Handle = (request: IncomingMessage, response: ServerResponse) => void;
type AliasHandler = (
  request: ApiRequest & { $params: { params?: Record<string, string> } },
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

interface GatewayService {
  server: Server;
  httpHandler: Handle;
}

/** What moleculer-web does with a request. */
const routed = (ApiGateway as unknown as { methods: { httpHandler: Handle } }).methods.httpHandler;

export function wire(node: PlatformNode): ServiceSchema {
  const { settings, broker, clock, log, metrics } = node;
  const sessions = createSessions({ broker, clock, log });
  const routes = publicRoutes();
  const signatures = wireRequestSignatures(node, routes);
  const tell = createAnswerTally({ metrics, log, isLogging: settings.LOG_REQUESTS });
  const sales = createSaleEntrance(node, { sessions, signatures, tell });
  const shedding = createShedding(sales.load, metrics);
  const handler = createApiHandler({
    authenticate: createAuthenticate(node.tokens, sessions),
    addressOf: createClientAddress(settings.TRUSTED_PROXIES),
    shedding,
    limiter: createRateLimiter({
      store: createRateLimitStore(node),
      clock,
      onRefused: (rule) => metrics.increment("app_rate_limited_total", { rule }),
    }),
    limits: limitRules(node),
    signatures,
    rules: node.rules,
    grey: createGreyRelease(settings),
    shelf: createShelf({ clock, isDegraded: () => node.rules.isOn("degrade_browsing") }),
    compositions: { ...createCompositions(node), ...sales.compositions },
    fallbacks: FALLBACKS,
    own: { ...ownActions(node), ...sales.own },
    noteAttempt: sales.noteAttempt,
  });
  const shedEarly = wireShedEarly(node, { routes, shedding, tell });
  return createGatewayService({ node, routes, handler, sessions, sales, shedEarly });
}

interface GatewayParts {
  readonly node: PlatformNode;
  readonly routes: readonly PublicRoute[];
  readonly handler: ApiHandler;
  readonly sessions: Sessions;
  readonly sales: SaleEntrance;
  readonly shedEarly: ShedEarly;
}

function createGatewayService(parts: GatewayParts): ServiceSchema {
  const { node, routes, sessions, sales, shedEarly } = parts;
  const { settings, log } = node;
  const methodsAt = (path: string): readonly string[] => [
    ...rootMethods(path),
    ...allowedMethods(routes, path),
  ];
  const preflight = createPreflight(settings.CORS_ORIGINS, methodsAt);
  const observe = createRequestObserver({ ...node, isLogging: settings.LOG_REQUESTS });
  const state = { isDraining: false };
  return {
    name: "gateway",
    mixins: [ApiGateway],
    settings: {
      ip: settings.HOST,
      port: settings.PORT,
      logRequest: null,
      logResponse: null,
      logRequestParams: null,
      logRouteRegistration: null,
      rootCallOptions: createCallOptions(node),
      routes: [apiRoute(parts), rootRoute(parts, state), docsRoute],
    },
    actions: { rest: { tracing: REST_TRACING }, ...sales.actions },
    methods: {
      createServer(this: GatewayService) {
        this.server = createHttpServer(this.httpHandler);
      },
      httpHandler(this: GatewayService, request: IncomingMessage, response: ServerResponse) {
        if (sales.buy(request, response) || shedEarly(request, response)) return;
        observe(request, response);
        if (preflight(request, response) || sales.watch(request, response)) return;
        // Node drops the body of the answer to a HEAD by itself; the route is the GET's.
        if (request.method === "HEAD") request.method = "GET";
        if (state.isDraining) response.setHeader("Connection", "close");
        routed.call(this, request, response);
      },
      parseQueryString: (request: IncomingMessage) => parseQuery(request.url ?? ""),
      errorHandler(request: IncomingMessage, response: ServerResponse, error: unknown) {
        if (publicSlug(error) === "INTERNAL") {
          log.error({ err: error, request_id: requestIdOf(response) }, "request failed");
        }
        sendError(request, response, error);
      },
      send404(request: IncomingMessage & { originalUrl?: string }, response: ServerResponse) {
        const path = (request.originalUrl ?? request.url ?? "").split("?", 1)[0] ?? "";
        const methods = methodsAt(path);
        if (methods.length > 0) response.setHeader("Allow", methods.join(", "));
        const slug = methods.length > 0 ? "METHOD_NOT_ALLOWED" : "NOT_FOUND";
        sendError(request, response, new PlatformError(slug));
      },
    },
    events: {
      // A hint only: the poll brings the same within two seconds.
      "user.sessions-revoked": () => sessions.poll().catch(() => undefined),
      ...sales.events,
    },
    started() {
      sessions.start();
      sales.start();
      node.beforeStop(async () => {
        state.isDraining = true;
        sessions.stop();
        sales.stop();
        await closeHttpServer((this as unknown as GatewayService).server);
      });
    },
  } as unknown as ServiceSchema;
}

function apiRoute({ routes, handler }: GatewayParts): object {
  const aliases: Record<string, AliasHandler> = {};
  for (const route of routes) {
    aliases[route.label] = (request, response, next) => {
      nameRequest(request, response, route.label);
      handler(route, request, response, request.$params.params ?? {}).catch(next);
    };
  }
  return { path: API_PREFIX, aliases, ...PLAIN_ROUTE };
}

function rootRoute({ node, routes, sales }: GatewayParts, state: { isDraining: boolean }): object {
  let document: string | undefined;
  const handlers = createRootHandlers({
    node,
    document: () => (document ??= JSON.stringify(openApiDocument(routes, publicResult))),
    missingServices: () => missingServices(node),
    isDraining: () => state.isDraining,
  });
  const aliases: Record<string, AliasHandler> = {};
  for (const [label, handle] of Object.entries({ ...handlers, ...sales.pages })) {
    aliases[label] = (request, response, next) => {
      nameRequest(request, response, label);
      Promise.resolve(handle(request, response)).catch(next);
    };
  }
  return { path: "/", aliases, ...PLAIN_ROUTE };
}

const PLAIN_ROUTE = {
  mappingPolicy: "restrict",
  bodyParsers: false,
  mergeParams: false,
  etag: false,
  logging: false,
} as const;

const docsRoute = { path: "/docs/assets", ...PLAIN_ROUTE, use: [serveDocsAssets()] };
