// Alipay's RSA2 signatures: over the parameters sorted by name and joined as `name=value` with `&`,
// the values as they are before URL encoding.
import type { KeyObject } from "node:crypto";
import { isRsaSigned, signRsa } from "./rsa.ts";

export type AlipayParams = Readonly<Record<string, string>>;

function contentOf(params: AlipayParams, omitted: readonly string[]): string {
  return Object.entries(params)
    .filter(([name]) => !omitted.includes(name))
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

/** The parameters with their `sign`; empty ones are left out, as Alipay leaves them out. */
export function signAlipay(key: KeyObject, params: AlipayParams): AlipayParams {
  const given = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== ""));
  return { ...given, sign: signRsa(key, contentOf(given, ["sign"])) };
}

/** Whether Alipay has signed this notification. */
export function isAlipayNotification(key: KeyObject, params: AlipayParams): boolean {
  const { sign = "", sign_type: type } = params;
  if (sign === "" || (type !== undefined && type !== "RSA2")) return false;
  return isRsaSigned(key, contentOf(params, ["sign", "sign_type"]), sign);
}

/** `{"alipay_…_response":{…},"sign":"…"}`: the signature is over the inner object's exact text. */
const ANSWER_FORM =
  /^\s*\{\s*"[a-z_]+_response"\s*:\s*(\{[\s\S]*\})\s*,\s*(?:"alipay_cert_sn"\s*:\s*"[^"]*"\s*,\s*)?"sign"\s*:\s*"([^"]+)"\s*\}\s*$/;

/** The inner object of an answer that Alipay has signed; undefined for any other text. */
export function alipayAnswer(key: KeyObject, text: string): Record<string, unknown> | undefined {
  const [, inner = "", sign = ""] = ANSWER_FORM.exec(text) ?? [];
  if (inner === "" || !isRsaSigned(key, inner, sign)) return undefined;
  try {
    return JSON.parse(inner) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
