// What every request meets before the router: method, URL, request id, security headers, CORS.
// Returns true when the answer has been given.
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { PlatformError } from "../contracts/errors.ts";
import { rememberRequestId, sendError, sendNothing } from "./http-errors.ts";
import { URL_LENGTH_MAX } from "./limits.ts";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const REQUEST_ID_FORM = /^[A-Za-z0-9_-]{8,64}$/;
const CORS_MAX_AGE_S = "600";
const EXPOSED_HEADERS =
  "X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, Idempotency-Replayed";
const ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Request-Id, traceparent";

export type Preflight = (request: IncomingMessage, response: ServerResponse) => boolean;

/** @param origins exact origins, comma separated. */
export function createPreflight(
  origins: string,
  allowedMethods: (path: string) => readonly string[],
): Preflight {
  const allowlist = new Set(
    origins
      .split(",")
      .map((origin) => origin.trim())
      .filter(Boolean),
  );
  return (request, response) => {
    const given = request.headers["x-request-id"];
    const isGood = typeof given === "string" && REQUEST_ID_FORM.test(given);
    rememberRequestId(response, isGood ? given : randomUUID());
    setSecurityHeaders(response);
    const { origin } = request.headers;
    const isCors = origin !== undefined && allowlist.has(origin);
    if (isCors) setCorsHeaders(response, origin);
    const refusal = refusalOf(request);
    if (refusal !== undefined) {
      if (refusal.slug === "METHOD_NOT_ALLOWED") {
        response.setHeader("Allow", allowedMethods(pathOf(request)).join(", "));
      }
      sendError(request, response, refusal);
      return true;
    }
    if (request.method !== "OPTIONS") return false;
    response.setHeader("Allow", allowedMethods(pathOf(request)).join(", "));
    sendNothing(response);
    return true;
  };
}

function refusalOf({ method = "", url = "" }: IncomingMessage): PlatformError | undefined {
  if (!METHODS.has(method)) return new PlatformError("METHOD_NOT_ALLOWED");
  if (url.length > URL_LENGTH_MAX) return new PlatformError("URL_TOO_LONG");
  return undefined;
}

function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?", 1)[0] ?? "";
}

function setSecurityHeaders(response: ServerResponse): void {
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Cache-Control", "no-store");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
}

function setCorsHeaders(response: ServerResponse, origin: string): void {
  response.setHeader("Access-Control-Allow-Origin", origin);
  response.setHeader("Vary", "Origin");
  response.setHeader("Access-Control-Allow-Methods", [...METHODS].join(", "));
  response.setHeader("Access-Control-Allow-Headers", ALLOWED_HEADERS);
  response.setHeader("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  response.setHeader("Access-Control-Max-Age", CORS_MAX_AGE_S);
}
