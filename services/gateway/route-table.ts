// The public routes, made from the contracts: which action, whose turn, how the answer looks. No
// internal action can get in here (checked at start and by test/arch).
import type { IncomingMessage } from "node:http";
import { CONTRACTS, type ServiceName } from "../contracts/actions.ts";
import type { ActionContract, RestBinding } from "../contracts/contract.ts";
import type { ErrorSlug } from "../contracts/errors.ts";
import { assert } from "../kernel/assert.ts";
import { createReader, type RequestReader } from "./request.ts";

export const API_PREFIX = "/api/v1";

export interface PublicRoute {
  readonly service: ServiceName;
  /** Full action name, such as `order.place`. */
  readonly action: string;
  readonly contract: ActionContract;
  readonly rest: RestBinding;
  /** `POST /orders`: the scope of an idempotency key and the label of metrics. */
  readonly label: string;
  readonly reader: RequestReader;
  /** What an impossible id in the path is answered with: the same as an unknown one. */
  readonly notFound: ErrorSlug;
}

const NOT_FOUND_BY_PREFIX: readonly (readonly [string, ErrorSlug])[] = [
  ["/users/me/addresses", "ADDRESS_NOT_FOUND"],
  ["/users", "USER_NOT_FOUND"],
  ["/products", "PRODUCT_NOT_FOUND"],
  ["/categories", "CATEGORY_NOT_FOUND"],
  ["/inventory", "SKU_NOT_FOUND"],
  ["/orders", "ORDER_NOT_FOUND"],
  ["/admin/orders", "ORDER_NOT_FOUND"],
  ["/payments", "PAYMENT_NOT_FOUND"],
  ["/admin/dead-letters", "DEAD_LETTER_NOT_FOUND"],
  ["/seckill/sales", "SECKILL_SALE_NOT_FOUND"],
];

export function publicRoutes(): readonly PublicRoute[] {
  const routes: PublicRoute[] = [];
  for (const [service, contract] of Object.entries(CONTRACTS)) {
    for (const [name, action] of Object.entries(contract) as [string, ActionContract][]) {
      if (action.rest === undefined) continue;
      assert(action.auth !== "internal", `${service}.${name} is internal and cannot have a route`);
      routes.push(routeOf(service as ServiceName, name, action, action.rest));
    }
  }
  return routes;
}

function routeOf(
  service: ServiceName,
  name: string,
  contract: ActionContract,
  rest: RestBinding,
): PublicRoute {
  const match = NOT_FOUND_BY_PREFIX.find(([prefix]) => rest.path.startsWith(prefix));
  return {
    service,
    action: `${service}.${name}`,
    contract,
    rest,
    label: `${rest.method} ${rest.path}`,
    reader: createReader(contract, rest),
    notFound: match?.[1] ?? "NOT_FOUND",
  };
}

/** Methods that a path answers, for the Allow header; none for an unknown path. */
export function allowedMethods(routes: readonly PublicRoute[], path: string): readonly string[] {
  if (!path.startsWith(API_PREFIX)) return [];
  const parts = path.slice(API_PREFIX.length).split("/");
  const methods = routes
    .filter(({ rest }) => matches(rest.path.split("/"), parts))
    .map(({ rest }): string => rest.method);
  if (methods.includes("GET")) methods.push("HEAD");
  return methods.length === 0 ? [] : [...new Set(methods), "OPTIONS"];
}

/** Undefined when no route is the request's. */
export type FindRoute = (
  request: Pick<IncomingMessage, "method" | "url">,
) => PublicRoute | undefined;

/** Finds the route of a request as the router would. */
export function createRouteFinder(routes: readonly PublicRoute[]): FindRoute {
  const patterns = routes.map((route) => ({ route, words: route.rest.path.split("/") }));
  const byShape = Map.groupBy(patterns, ({ route, words }) =>
    shapeOf(route.rest.method, words.length),
  );
  return ({ method = "", url = "" }) => {
    const path = url.split("?", 1)[0] ?? "";
    if (!path.startsWith(API_PREFIX)) return undefined;
    const parts = path.slice(API_PREFIX.length).split("/");
    const candidates = byShape.get(shapeOf(method === "HEAD" ? "GET" : method, parts.length));
    return candidates?.find(({ words }) => matches(words, parts))?.route;
  };
}

function shapeOf(method: string, words: number): string {
  return `${method} ${String(words)}`;
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    pattern.length === parts.length &&
    pattern.every((word, at) => word.startsWith(":") || word === parts[at])
  );
}
