// Recognises the one request that a flash sale is made of, without a router: a POST without a body to
// /api/v1/seckill/sales/{id}/orders. Everything else, and every other spelling, is the router's.
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { API_PREFIX } from "../route-table.ts";

const PREFIX = `${API_PREFIX}/seckill/sales/`;
const SUFFIX = "/orders";
const ID_LENGTH_MAX = 19;
const ID_FORM = /^[1-9][0-9]*$/;
const BEARER = "Bearer ";
const KEY_FORM = /^[\x21-\x7e]{1,255}$/;

/** Label of the route in metrics and log lines. */
export const BUY_ROUTE = "POST /seckill/sales/:id/orders";

/** The sale somebody wants to buy from; undefined for a request that is not for the fast lane. */
export function saleToBuyFrom({
  method,
  url = "",
  headers,
}: Pick<IncomingMessage, "method" | "url" | "headers">): string | undefined {
  if (method !== "POST" || !url.startsWith(PREFIX) || !url.endsWith(SUFFIX)) return undefined;
  const id = url.slice(PREFIX.length, -SUFFIX.length);
  if (id.length > ID_LENGTH_MAX || !ID_FORM.test(id)) return undefined;
  return hasBody(headers) || isSigned(headers) ? undefined : id;
}

/** A signature is checked by the ordinary way. */
function isSigned(headers: IncomingHttpHeaders): boolean {
  return headers["signature-input"] !== undefined || headers["signature"] !== undefined;
}

/** A body is read, checked and refused by the ordinary way. */
function hasBody(headers: IncomingHttpHeaders): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/** Undefined without a header; an empty token, which none verifies, for one of another form. */
export function bearerOf({ authorization }: IncomingHttpHeaders): string | undefined {
  if (authorization === undefined) return undefined;
  return authorization.startsWith(BEARER) ? authorization.slice(BEARER.length) : "";
}

/**
 * What makes two requests of one buyer the same attempt: his Idempotency-Key, else the request's id.
 * At most 64 characters.
 */
export function attemptOf(headers: IncomingHttpHeaders, requestId: string): string {
  const key = headers["idempotency-key"];
  if (typeof key !== "string" || !KEY_FORM.test(key)) return requestId;
  return `k-${createHash("sha256").update(key).digest("base64url")}`;
}
