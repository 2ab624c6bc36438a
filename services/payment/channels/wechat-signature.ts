// WeChat Pay's APIv3: signatures over lines that each end with a line feed, and the encrypted part of
// a notification (AES-GCM with the APIv3 key, the tag at the end of the ciphertext).
import { createDecipheriv, type KeyObject } from "node:crypto";
import { SECOND_MS } from "../../kernel/clock.ts";
import { isRsaSigned, signRsa } from "./rsa.ts";

/** A notification signed further away from now than this is refused, early or late. */
const TOLERANCE_S = 300;
const TAG_BYTES = 16;
const BITS_PER_BYTE = 8;
const TIMESTAMP_FORM = /^[1-9]\d{0,14}$/;

function lines(...parts: readonly string[]): string {
  return parts.map((part) => `${part}\n`).join("");
}

export interface WechatMerchant {
  readonly merchantId: string;
  readonly serial: string;
  readonly ownKey: KeyObject;
}

/** The Authorization header of a request. @param target path and query. */
export function authorization(
  { merchantId, serial, ownKey }: WechatMerchant,
  request: { readonly method: string; readonly target: string; readonly body: string },
  { nonce, atMs }: { readonly nonce: string; readonly atMs: number },
): string {
  const timestamp = String(Math.floor(atMs / SECOND_MS));
  const message = lines(request.method, request.target, timestamp, nonce, request.body);
  const fields = {
    mchid: merchantId,
    nonce_str: nonce,
    signature: signRsa(ownKey, message),
    timestamp,
    serial_no: serial,
  };
  const pairs = Object.entries(fields).map(([name, value]) => `${name}="${value}"`);
  return `WECHATPAY2-SHA256-RSA2048 ${pairs.join(",")}`;
}

/** Whether WeChat Pay has signed these bytes, near `nowMs`. Headers have lower-case names. */
export function isWechatSigned(
  key: KeyObject,
  message: { readonly headers: Readonly<Record<string, unknown>>; readonly body: string },
  nowMs: number,
): boolean {
  const { headers, body } = message;
  const timestamp = headerOf(headers, "wechatpay-timestamp");
  if (!TIMESTAMP_FORM.test(timestamp)) return false;
  if (Math.abs(nowMs / SECOND_MS - Number(timestamp)) > TOLERANCE_S) return false;
  const signed = lines(timestamp, headerOf(headers, "wechatpay-nonce"), body);
  return isRsaSigned(key, signed, headerOf(headers, "wechatpay-signature"));
}

function headerOf(headers: Readonly<Record<string, unknown>>, name: string): string {
  const value = headers[name];
  return typeof value === "string" ? value : "";
}

export interface EncryptedResource {
  readonly ciphertext: string;
  readonly nonce: string;
  readonly associated_data: string;
}

/** The plain text, or undefined when it was not encrypted with this key. */
export function decryptResource(
  apiV3Key: string,
  { ciphertext, nonce, associated_data: associated }: EncryptedResource,
): string | undefined {
  const key = Buffer.from(apiV3Key, "utf8");
  const bytes = Buffer.from(ciphertext, "base64");
  if (bytes.length < TAG_BYTES) return undefined;
  try {
    const cipher = createDecipheriv(
      `aes-${String(key.length * BITS_PER_BYTE)}-gcm` as "aes-256-gcm",
      key,
      Buffer.from(nonce, "utf8"),
      { authTagLength: TAG_BYTES },
    );
    cipher.setAAD(Buffer.from(associated, "utf8"));
    cipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
    const plain = cipher.update(bytes.subarray(0, bytes.length - TAG_BYTES));
    return Buffer.concat([plain, cipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
}
