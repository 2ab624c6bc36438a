// From any error to the public envelope. What is not of the catalogue becomes SERVICE_UNAVAILABLE
// or INTERNAL: messages of other errors can hold SQL, hosts or values and never leave.
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  ERROR_CATALOGUE,
  errorCode,
  errorDetails,
  type ErrorSlug,
  errorSlug,
} from "../contracts/errors.ts";
import { ACCEPTED_SIGNATURE } from "../../mixins/signing/request-signature.ts";
import { DEGRADED_PAGE } from "./degraded-page.ts";
import { RETRY_AFTER_S } from "./limits.ts";

/** Moleculer's, moleculer-web's and body-parser's errors by their `type`. */
const FOREIGN_ERRORS: Readonly<Record<string, ErrorSlug>> = {
  "entity.too.large": "BODY_TOO_LARGE",
  "entity.parse.failed": "BODY_NOT_JSON",
  "entity.verify.failed": "REQUEST_MALFORMED",
  "encoding.unsupported": "CONTENT_TYPE_UNSUPPORTED",
  "charset.unsupported": "CONTENT_TYPE_UNSUPPORTED",
  "request.aborted": "REQUEST_MALFORMED",
  "request.size.invalid": "REQUEST_MALFORMED",
  NOT_FOUND: "NOT_FOUND",
  REQUEST_TIMEOUT: "SERVICE_UNAVAILABLE",
  REQUEST_REJECTED: "SERVICE_UNAVAILABLE",
  REQUEST_SKIPPED: "SERVICE_UNAVAILABLE",
  SERVICE_NOT_FOUND: "SERVICE_UNAVAILABLE",
  SERVICE_NOT_AVAILABLE: "SERVICE_UNAVAILABLE",
  SERVICE_UNAVAILABLE: "SERVICE_UNAVAILABLE",
  QUEUE_FULL: "OVERLOADED",
};

export function publicSlug(error: unknown): ErrorSlug {
  const own = errorSlug(error);
  if (own !== undefined) return own;
  const { type, name } = error as { type?: unknown; name?: unknown };
  if (typeof type === "string" && type in FOREIGN_ERRORS) {
    return FOREIGN_ERRORS[type] ?? "INTERNAL";
  }
  if (name === "BadRequestError" || error instanceof URIError) return "REQUEST_MALFORMED";
  return "INTERNAL";
}

export interface ErrorBody {
  readonly code: number;
  readonly error: ErrorSlug;
  readonly message: string;
  readonly details: unknown;
  readonly request_id: string | undefined;
}

export function errorBody(slug: ErrorSlug, details: unknown, requestId?: string): ErrorBody {
  return {
    code: errorCode(slug),
    error: slug,
    message: ERROR_CATALOGUE[slug].message,
    details: details ?? null,
    request_id: requestId,
  };
}

/** Answers an error; does nothing when the answer has begun or the client is gone. */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
): void {
  if (response.headersSent || response.destroyed) return;
  const slug = publicSlug(error);
  const details = errorSlug(error) === undefined ? undefined : errorDetails(error);
  const { status } = ERROR_CATALOGUE[slug];
  for (const [name, value] of Object.entries(errorHeaders(slug, details))) {
    response.setHeader(name, value);
  }
  // The rest of an unread body would be taken for the next request on this connection.
  if (!request.complete) response.setHeader("Connection", "close");
  if (slug === "BROWSING_DEGRADED" && wantsPage(request)) {
    response.setHeader("Content-Security-Policy", PAGE_POLICY);
    sendText(response, status, { type: "text/html; charset=utf-8", text: DEGRADED_PAGE });
    return;
  }
  sendJson(response, status, errorBody(slug, details, requestIdOf(response)));
}

const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/** A browser that opens a page names HTML first; a program asks for JSON or anything. */
function wantsPage({ headers: { accept } }: IncomingMessage): boolean {
  return accept?.trimStart().startsWith("text/html") === true;
}

/** No scheme of the registry fits; RFC 9421 leaves the name to the server. */
const SIGN_HEADERS = { "WWW-Authenticate": 'Signature realm="shop"' } as const;

function errorHeaders(slug: ErrorSlug, details: unknown): Record<string, string> {
  const { status } = ERROR_CATALOGUE[slug];
  if (slug === "SIGNATURE_REQUIRED")
    return { ...SIGN_HEADERS, "Accept-Signature": ACCEPTED_SIGNATURE };
  if (slug.startsWith("SIGNATURE_")) return SIGN_HEADERS;
  if (status === 401) return { "WWW-Authenticate": 'Bearer realm="shop"' };
  if (status !== 429 && status !== 503 && slug !== "IDEMPOTENCY_IN_PROGRESS") return {};
  const { retry_after_s: asked, limit } = (details ?? {}) as Record<string, unknown>;
  const seconds = String(typeof asked === "number" ? Math.max(1, Math.ceil(asked)) : RETRY_AFTER_S);
  if (slug !== "RATE_LIMITED") return { "Retry-After": seconds };
  return {
    "Retry-After": seconds,
    "RateLimit-Limit": String(limit),
    "RateLimit-Remaining": "0",
    "RateLimit-Reset": seconds,
  };
}

const requestIds = new WeakMap<ServerResponse, string>();

/** moleculer-web puts the trace's id into this header; the request's own is put back when sending. */
export function rememberRequestId(response: ServerResponse, id: string): void {
  requestIds.set(response, id);
}

export function requestIdOf(response: ServerResponse): string | undefined {
  return requestIds.get(response);
}

/** Sends head and body at once. */
export function sendText(response: ServerResponse, status: number, content: Content): void {
  const id = requestIdOf(response);
  if (id !== undefined) response.setHeader("X-Request-Id", id);
  response.writeHead(status, {
    "Content-Type": content.type,
    "Content-Length": Buffer.byteLength(content.text),
  });
  response.end(content.text);
}

export interface Content {
  readonly type: string;
  readonly text: string;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, {
    type: "application/json; charset=utf-8",
    text: JSON.stringify(body),
  });
}

export function sendNothing(response: ServerResponse): void {
  const id = requestIdOf(response);
  if (id !== undefined) response.setHeader("X-Request-Id", id);
  response.writeHead(204);
  response.end();
}
