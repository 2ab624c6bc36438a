// Access tokens as an attacker would make them: any header, any claims, signed with any key.
import { createHmac } from "node:crypto";
import { TOKEN_KEY } from "./shop.ts";

export type Json = Readonly<Record<string, unknown>>;

export const encode = (value: Json): string =>
  Buffer.from(JSON.stringify(value)).toString("base64url");

export interface Forgery {
  /** The shop's own when absent. */
  readonly key?: string;
  readonly hash?: string;
}

export function sign(
  header: Json,
  claims: Json,
  { key = TOKEN_KEY, hash = "sha256" }: Forgery = {},
): string {
  const body = `${encode(header)}.${encode(claims)}`;
  return `${body}.${createHmac(hash, key).update(body).digest("base64url")}`;
}

/** Header and claims of a token. */
export function read(token: string): { readonly header: Json; readonly claims: Json } {
  const [header = "", claims = ""] = token.split(".");
  return { header: decode(header), claims: decode(claims) };
}

function decode(part: string): Json {
  return JSON.parse(Buffer.from(part, "base64url").toString()) as Json;
}

/** The same token with other claims, signed with the shop's key. */
export function withClaims(token: string, changes: Json): string {
  const { header, claims } = read(token);
  return sign(header, { ...claims, ...changes });
}
