// The answers of the fast lane, as texts that are ready but for their ids. One write sends head and
// body: a string does that, a Buffer would cost a second write.
import type { ServerResponse } from "node:http";
import type { Admission, Refusal } from "../../contracts/seckill.ts";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../../contracts/errors.ts";
import { RETRY_AFTER_S } from "../limits.ts";

/** What a buyer is told. */
export type BuyAnswer =
  /** A promise: the order appears exactly once, under this id. */
  | { readonly kind: "queued"; readonly orderId: string }
  /** No promise. */
  | { readonly kind: "waiting"; readonly orderId: string }
  | {
      readonly kind: "refused";
      readonly slug: ErrorSlug;
      /** The order he has, for SECKILL_ALREADY_PURCHASED. */
      readonly orderId?: string | null;
      /** For RATE_LIMITED. */
      readonly retryAfterMs?: number;
      /** Requests that may come at once, for RATE_LIMITED. */
      readonly limit?: number;
    };

const REFUSALS: Readonly<Record<Refusal | "not_found" | "busy", ErrorSlug>> = {
  sold_out: "SECKILL_SOLD_OUT",
  already: "SECKILL_ALREADY_PURCHASED",
  not_started: "SECKILL_NOT_STARTED",
  ended: "SECKILL_ENDED",
  not_found: "SECKILL_SALE_NOT_FOUND",
  busy: "OVERLOADED",
};

export type RefusedOutcome = Exclude<Admission["outcome"], "pending" | "committed" | "in_progress">;

export function refusedAs(outcome: RefusedOutcome, orderId: string | null = null): BuyAnswer {
  return { kind: "refused", slug: REFUSALS[outcome], orderId };
}

export function refusal(slug: ErrorSlug): BuyAnswer {
  return { kind: "refused", slug };
}

const TYPE = "application/json; charset=utf-8";
const ACCEPTED = 202;

/** Head fields that every answer has; the same as those of the ordinary way. */
const FIXED_HEAD = [
  "X-Content-Type-Options",
  "nosniff",
  "Cache-Control",
  "no-store",
  "Referrer-Policy",
  "no-referrer",
  "Content-Security-Policy",
  "default-src 'none'; frame-ancestors 'none'",
  "Content-Type",
  TYPE,
  "X-Request-Id",
] as const;

const QUEUED_HEAD = '{"code":0,"message":"OK","data":{"order_id":"';
const QUEUED_TAIL = '","status":"queued"}}';
const WAITING_HEAD = '{"code":0,"message":"OK","data":{"ticket":"';
const WAITING_TAIL = '","status":"waiting"}}';

/** Up to the details, by slug. */
const ERROR_HEADS = Object.fromEntries(
  (Object.keys(ERROR_CATALOGUE) as ErrorSlug[]).map((slug) => [
    slug,
    `{"code":${errorCode(slug)},"error":"${slug}","message":${JSON.stringify(
      ERROR_CATALOGUE[slug].message,
    )},"details":`,
  ]),
) as Readonly<Record<ErrorSlug, string>>;

export function statusOf(answer: BuyAnswer): number {
  return answer.kind === "refused" ? ERROR_CATALOGUE[answer.slug].status : ACCEPTED;
}

/** ASCII; ids are decimal and request ids of a checked form, so nothing has to be escaped. */
export function bodyOf(answer: BuyAnswer, requestId: string): string {
  switch (answer.kind) {
    case "queued":
      return QUEUED_HEAD + answer.orderId + QUEUED_TAIL;
    case "waiting":
      return WAITING_HEAD + ticketOf(answer.orderId) + WAITING_TAIL;
    case "refused":
      return `${ERROR_HEADS[answer.slug]}${detailsOf(answer)},"request_id":"${requestId}"}`;
  }
}

/** Opaque: it names the attempt for people who read logs, and promises nothing. */
function ticketOf(orderId: string): string {
  return `t_${Buffer.from(orderId).toString("base64url")}`;
}

function detailsOf({ orderId, retryAfterMs }: Extract<BuyAnswer, { kind: "refused" }>): string {
  if (typeof orderId === "string") return `{"order_id":"${orderId}"}`;
  if (retryAfterMs !== undefined) return `{"retry_after_s":${retryAfterMs / 1_000}}`;
  return "null";
}

const NO_HEAD: readonly string[] = [];
const CLOSE_HEAD: readonly string[] = ["Connection", "close"];

/** Head fields of CORS for a browser on another site, names and values in turn; none for unknown sites. */
export type CorsOf = (origin: string) => readonly string[];

/** What the head of this answer has beside what all have: names and values in turn. */
export function extraHead(
  corsOf: CorsOf,
  origin: string | undefined,
  closes: boolean,
): readonly string[] {
  const cors = origin === undefined ? NO_HEAD : corsOf(origin);
  if (!closes) return cors;
  return cors.length === 0 ? CLOSE_HEAD : [...cors, ...CLOSE_HEAD];
}

/** @param extra see {@link extraHead}. */
export function sendAnswer(
  response: ServerResponse,
  requestId: string,
  answer: BuyAnswer,
  extra: readonly string[],
): void {
  if (response.destroyed) return;
  const body = bodyOf(answer, requestId);
  const head: string[] = [...FIXED_HEAD, requestId, "Content-Length", String(body.length)];
  if (answer.kind === "refused") addErrorHead(head, answer);
  if (extra.length > 0) head.push(...extra);
  response.writeHead(statusOf(answer), head);
  response.end(body);
}

function addErrorHead(
  head: string[],
  { slug, retryAfterMs, limit }: Extract<BuyAnswer, { kind: "refused" }>,
): void {
  const { status } = ERROR_CATALOGUE[slug];
  if (status === 401) head.push("WWW-Authenticate", 'Bearer realm="shop"');
  if (status !== 429 && status !== 503) return;
  const seconds =
    retryAfterMs === undefined ? RETRY_AFTER_S : Math.max(1, Math.ceil(retryAfterMs / 1_000));
  head.push("Retry-After", String(seconds));
  if (limit === undefined) return;
  head.push("RateLimit-Limit", String(limit), "RateLimit-Remaining", "0");
}
