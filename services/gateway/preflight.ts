// What every request meets before the router: method, URL, request id, security headers, CORS.
// Returns true when the answer has been given.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { PlatformError } from "../contracts/errors.ts";
import { rememberRequestId, sendError, sendNothing } from "./http-errors.ts";
import { URL_LENGTH_MAX } from "./limits.ts";

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
/** On every answer, whoever gives it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-store",
  "Referrer-Policy": "no-referrer",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
};
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
const REQUEST_ID_FORM = /^[A-Za-z0-9_-]{8,64}$/;
const CORS_MAX_AGE_S = "600";
const EXPOSED_HEADERS =
  "X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, " +
  "Idempotency-Replayed";
const ALLOWED_HEADERS =
  "Authorization, Content-Type, Idempotency-Key, X-Request-Id, X-Seckill-Pass, traceparent";

export type Preflight = (request: IncomingMessage, response: ServerResponse) => boolean;

/** @param origins exact origins, comma separated. */
export function createPreflight(
  origins: string,
  allowedMethods: (path: string) => readonly string[],
): Preflight {
  const corsOf = createCors(origins);
  return (request, response) => {
    rememberRequestId(response, requestIdFor(request));
    for (const name in SECURITY_HEADERS) response.setHeader(name, SECURITY_HEADERS[name] ?? "");
    const { origin } = request.headers;
    if (origin !== undefined) setHeaders(response, corsOf(origin));
    const refusal = refusalOf(request);
    if (refusal === undefined && request.method !== "OPTIONS") return false;
    const methods = allowedMethods(pathOf(request));
    if (refusal === undefined) answerOptions(request, response, methods);
    else refuse(request, response, { refusal, methods });
    return true;
  };
}

/** The id that the client gave, if it is of the right form, else a new one. */
export function requestIdFor({ headers }: Pick<IncomingMessage, "headers">): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID_FORM.test(given) ? given : randomUUID();
}

function answerOptions(
  request: IncomingMessage,
  response: ServerResponse,
  methods: readonly string[],
): void {
  const allowed = request.url === "*" ? METHODS : methods;
  if (allowed.length === 0) {
    sendError(request, response, new PlatformError("NOT_FOUND"));
    return;
  }
  response.setHeader("Allow", allowed.join(", "));
  sendNothing(response);
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { refusal, methods }: { refusal: PlatformError; methods: readonly string[] },
): void {
  if (refusal.slug === "METHOD_NOT_ALLOWED") {
    response.setHeader("Allow", (methods.length > 0 ? methods : METHODS).join(", "));
  }
  sendError(request, response, refusal);
}

function refusalOf(request: IncomingMessage): PlatformError | undefined {
  const { method = "", url = "", headers } = request;
  if (!KNOWN_METHODS.has(method)) return new PlatformError("METHOD_NOT_ALLOWED");
  if (headers.host === undefined && request.httpVersion === "1.1") {
    return new PlatformError("REQUEST_MALFORMED");
  }
  if (url.length > URL_LENGTH_MAX) return new PlatformError("URL_TOO_LONG");
  return undefined;
}

function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

/** Names and values in turn. */
type HeaderList = readonly string[];

/**
 * What lets a page of another site read the answer; nothing for a site that is not allowed.
 * @param origins exact origins, comma separated.
 */
export function createCors(origins: string): (origin: string) => HeaderList {
  const allowlist = new Set(
    origins
      .split(",")
      .map((origin) => origin.trim())
      .filter(Boolean),
  );
  const fixed = [
    ["Access-Control-Allow-Methods", METHODS.join(", ")],
    ["Access-Control-Allow-Headers", ALLOWED_HEADERS],
    ["Access-Control-Expose-Headers", EXPOSED_HEADERS],
    ["Access-Control-Max-Age", CORS_MAX_AGE_S],
  ].flat();
  return (origin) =>
    allowlist.has(origin)
      ? ["Access-Control-Allow-Origin", origin, "Vary", "Origin", ...fixed]
      : [];
}

function setHeaders(response: ServerResponse, headers: HeaderList): void {
  for (let at = 0; at < headers.length; at += 2) {
    response.setHeader(headers[at] ?? "", headers[at + 1] ?? "");
  }
}
