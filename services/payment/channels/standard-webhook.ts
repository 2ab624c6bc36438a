// Signatures of callbacks in the form of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`
// with the raw bytes of the body. Several live keys and several signatures let a key be changed
// without losing a callback.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { SECOND_MS } from "../../kernel/clock.ts";

/** A callback signed further away from now than this is refused, early or late. */
const TOLERANCE_S = 300;
const SECRET_PREFIX = "whsec_";
const VERSION = "v1";
/** More signatures than this in one header are no rotation. */
const SIGNATURES_MAX = 10;
const TIMESTAMP_FORM = /^[1-9]\d{0,14}$/;
const ID_FORM = /^[\x21-\x7e]{1,190}$/;

export interface WebhookHeaders {
  readonly "webhook-id": string;
  readonly "webhook-timestamp": string;
  readonly "webhook-signature": string;
}

/** A key object and no buffer: with a buffer each HMAC costs five times as much. @param secret
 * `whsec_` and base64. */
export function webhookKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret.slice(SECRET_PREFIX.length), "base64"));
}

export function signWebhook(
  key: KeyObject,
  message: { readonly id: string; readonly atMs: number; readonly body: Buffer },
): WebhookHeaders {
  const timestamp = String(Math.floor(message.atMs / SECOND_MS));
  const digest = digestOf(key, message.id, timestamp, message.body).toString("base64");
  return {
    "webhook-id": message.id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `${VERSION},${digest}`,
  };
}

/**
 * The webhook's id when one of the signatures is right by one of the keys and the time is near
 * `nowMs`; undefined otherwise. Never throws.
 */
export function verifyWebhook(
  keys: readonly KeyObject[],
  request: { readonly headers: Readonly<Record<string, string>>; readonly rawBody: Buffer },
  nowMs: number,
): string | undefined {
  const id = request.headers["webhook-id"] ?? "";
  const timestamp = request.headers["webhook-timestamp"] ?? "";
  const given = signaturesOf(request.headers["webhook-signature"] ?? "");
  if (!ID_FORM.test(id) || !isNear(timestamp, nowMs) || given.length === 0) return undefined;
  const isRight = keys.some((key) => {
    const expected = digestOf(key, id, timestamp, request.rawBody);
    return given.some((one) => isEqual(one, expected));
  });
  return isRight ? id : undefined;
}

/** Takes the same time wherever the two differ. */
function isEqual(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function digestOf(key: KeyObject, id: string, timestamp: string, body: Buffer): Buffer {
  return createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
}

function signaturesOf(header: string): readonly Buffer[] {
  return header
    .split(" ")
    .slice(0, SIGNATURES_MAX)
    .map((one) => one.split(","))
    .filter(([version, value]) => version === VERSION && value !== undefined)
    .map(([, value = ""]) => Buffer.from(value, "base64"));
}

function isNear(timestamp: string, nowMs: number): boolean {
  if (!TIMESTAMP_FORM.test(timestamp)) return false;
  return Math.abs(nowMs / SECOND_MS - Number(timestamp)) <= TOLERANCE_S;
}
