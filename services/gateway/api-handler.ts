// One API request from its first to its last byte: limits, caller, parameters, action, envelope.
// The order is deliberate: what refuses cheaply comes before what reads or calls.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallHeaders, CallMeta, PlatformCallContext } from "../../mixins/service.ts";
import { callRouted } from "../contracts/actions.ts";
import type { RuleBoard } from "../../mixins/rules/rule-board.ts";
import { PlatformError } from "../contracts/errors.ts";
import { type Authenticate, ANONYMOUS, type Caller } from "./authenticate.ts";
import { type JsonBody, readBody } from "./body.ts";
import type { NoteAttempt } from "./buyer-story.ts";
import type { ClientAddress } from "./client-address.ts";
import type { Composition } from "./compositions.ts";
import type { Fallback } from "./promised-orders.ts";
import { sendJson, sendNothing } from "./http-errors.ts";
import type { GreyRelease } from "./grey-release.ts";
import type { Shelf } from "./shelf.ts";
import { factsOf } from "./request-observer.ts";
import { rankOf, type Shedding } from "./shedding.ts";
import type { LimitRule, RateLimiter, Subject, TightestLimit } from "./rate-limit.ts";
import { idempotencyHeaders } from "./request.ts";
import type { RequestSignatures } from "./request-signatures.ts";
import type { PublicRoute } from "./route-table.ts";

export interface ApiRequest extends IncomingMessage {
  readonly $ctx: PlatformCallContext;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
}

export interface Exchange {
  readonly request: ApiRequest;
  readonly response: ServerResponse;
  readonly path: Readonly<Record<string, string>>;
  readonly body: JsonBody;
  readonly caller: Caller;
}

/** Actions by which a customer gets something of the stock. */
const SELLING: ReadonlySet<string> = new Set(["order.place", "seckill.buy"]);
const FLASH_PURCHASE = "seckill.buy";

export interface ApiParts {
  readonly authenticate: Authenticate;
  readonly addressOf: ClientAddress;
  readonly shedding: Pick<Shedding, "enter">;
  readonly limiter: RateLimiter;
  readonly signatures: RequestSignatures;
  readonly limits: { readonly user: LimitRule; readonly ip: LimitRule; readonly node: LimitRule };
  readonly rules: Pick<RuleBoard, "isKnown">;
  readonly grey: GreyRelease;
  readonly shelf: Shelf;
  readonly compositions: Readonly<Record<string, Composition>>;
  /** Answers where an action has none, by action; rethrows the error that it cannot answer. */
  readonly fallbacks: Readonly<Record<string, Fallback>>;
  /** Actions that the gateway carries out itself; one may answer in a form of its own. */
  readonly own: Readonly<Record<string, (exchange: Exchange) => Promise<unknown>>>;
  readonly noteAttempt: NoteAttempt;
}

export type ApiHandler = (
  route: PublicRoute,
  request: ApiRequest,
  response: ServerResponse,
  path: Readonly<Record<string, string>>,
) => Promise<void>;

export function createApiHandler(parts: ApiParts): ApiHandler {
  return async (route, request, response, path) => {
    const leave = parts.shedding.enter(rankOf(route));
    try {
      const answering = answer(parts, route, { request, response, path });
      const saleId = path["id"] ?? "";
      if (route.action !== FLASH_PURCHASE) await answering;
      else await parts.noteAttempt({ saleId, response }, answering);
    } finally {
      leave();
    }
  };
}

async function answer(
  parts: ApiParts,
  route: PublicRoute,
  { request, response, path }: Pick<Exchange, "request" | "response" | "path">,
): Promise<unknown> {
  const clientIp = parts.addressOf(
    request.socket.remoteAddress,
    singleHeader(request.headers["x-forwarded-for"]),
  );
  const caller = await admit(parts, route, request, { response, clientIp });
  const body = await readBody(request, route.rest);
  // A HEAD is routed as a GET; what was signed is what was sent.
  const method = factsOf(response)?.method ?? request.method ?? "";
  await parts.signatures.check(route, { request, method, body: body.raw });
  const meta: CallMeta = request.$ctx.meta;
  meta.clientIp = clientIp;
  if (caller.token !== undefined) meta.token = caller.token;
  if (parts.grey.isOn) chooseRelease(parts.grey, { request, response, caller, clientIp });
  const exchange: Exchange = { request, response, path, body, caller };
  const own = parts.own[route.action];
  if (own !== undefined && route.rest.acceptsForm !== true) checkParams(route, exchange);
  const data = own === undefined ? await callAction(parts, route, exchange) : await own(exchange);
  if (meta.isReplay === true) response.setHeader("Idempotency-Replayed", "true");
  reply(response, statusOf(route, data), data);
  return data;
}

function chooseRelease(
  grey: GreyRelease,
  {
    request,
    response,
    caller,
    clientIp,
  }: Pick<Exchange, "request" | "response" | "caller"> & { readonly clientIp: string },
): void {
  const header = singleHeader(request.headers["x-release"]);
  const userId = caller.principal?.userId;
  const release = grey.releaseOf({ header, userId, address: clientIp });
  if (release === undefined) return;
  request.$ctx.meta.release = release;
  response.setHeader("X-Release", release);
  const facts = factsOf(response);
  if (facts !== undefined) facts.release = release;
}

/** Verifies the caller and takes from his limits; an invalid token counts under its address. */
async function admit(
  parts: ApiParts,
  route: PublicRoute,
  request: ApiRequest,
  { response, clientIp }: { response: ServerResponse; clientIp: string },
): Promise<Caller> {
  const { limits } = parts;
  const subjects: Subject[] = [
    { rule: limits.node, id: "all" },
    { rule: limits.ip, id: clientIp },
  ];
  let caller = ANONYMOUS;
  let refusal: unknown;
  try {
    caller = parts.authenticate(request, route.contract.auth);
  } catch (error) {
    refusal = error;
  }
  if (caller.principal !== undefined) {
    noteUser(response, caller.principal.userId);
    subjects.push({ rule: limits.user, id: caller.principal.userId });
  }
  const tightest = await parts.limiter.check(subjects);
  if (tightest !== undefined) setLimitHeaders(response, tightest);
  if (refusal !== undefined) throw refusal as Error;
  return caller;
}

function setLimitHeaders(response: ServerResponse, decision: TightestLimit): void {
  response.setHeader("RateLimit-Limit", decision.limit);
  response.setHeader("RateLimit-Remaining", decision.remaining);
  response.setHeader("RateLimit-Reset", decision.resetS);
}

/** For the request's line in the log. */
function noteUser(response: ServerResponse, userId: string): void {
  const facts = factsOf(response);
  if (facts !== undefined) facts.userId = userId;
}

async function callAction(
  parts: ApiParts,
  route: PublicRoute,
  exchange: Exchange,
): Promise<unknown> {
  const { request, response, path, body, caller } = exchange;
  const params = readParams(route, { path, query: request.query, body: body.value });
  const { action } = route;
  // A gateway that has not read the rules yet could sell what an operator has stopped.
  if (SELLING.has(action) && !parts.rules.isKnown()) throw new PlatformError("SERVICE_UNAVAILABLE");
  const fetch = () => callComposed(parts, route, exchange, params);
  if (!parts.shelf.isBrowsed(action) || caller.principal?.role === "admin") return await fetch();
  const onCopy = (ageS: number): void => {
    response.setHeader("X-Degraded", "browsing");
    response.setHeader("Age", ageS);
  };
  return await parts.shelf.answer({ action, params, fetch, onCopy });
}

async function callComposed(
  parts: ApiParts,
  route: PublicRoute,
  { request, caller }: Exchange,
  params: Record<string, unknown>,
): Promise<unknown> {
  const headers: CallHeaders = idempotencyHeaders(request, route.contract, route.label, params);
  const pass = request.headers["x-seckill-pass"];
  if (route.action === FLASH_PURCHASE && typeof pass === "string") headers.seckill_pass = pass;
  try {
    const result = await callRouted(request.$ctx, route.action, params, { headers });
    const compose = parts.compositions[route.action];
    return compose === undefined
      ? result
      : await compose(request.$ctx, result as never, { params, caller });
  } catch (error) {
    const fallback = parts.fallbacks[route.action];
    if (fallback === undefined) throw error;
    return await fallback({ ctx: request.$ctx, caller, params, error });
  }
}

/** What the gateway answers itself is no less strict; only a signed body is its reader's alone. */
function checkParams(route: PublicRoute, { request, path, body }: Exchange): void {
  readParams(route, { path, query: request.query, body: body.value });
}

function readParams(route: PublicRoute, input: Parameters<PublicRoute["reader"]["read"]>[0]) {
  try {
    return route.reader.read(input);
  } catch (error) {
    if (error instanceof PlatformError && error.slug === "NOT_FOUND") {
      throw new PlatformError(route.notFound);
    }
    throw error;
  }
}

/** A sale whose return is still being booked is closing: accepted, not done. */
function statusOf({ action, rest }: PublicRoute, data: unknown): number {
  const isUnderWay =
    action === "seckill.close" && (data as { status?: string } | null)?.status === "closing";
  return isUnderWay ? 202 : (rest.status ?? 200);
}

function reply(response: ServerResponse, status: number, data: unknown): void {
  if (response.destroyed || response.headersSent) return;
  if (status === 204) {
    sendNothing(response);
    return;
  }
  sendJson(response, status, { code: 0, message: "OK", data });
}

function singleHeader(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.join(",");
}
