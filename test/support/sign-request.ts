// Signs a request as a client's own program would: written from the profile in docs/security.md, with
// nothing of the platform's code.
import { createHash, createHmac, randomBytes } from "node:crypto";

export interface RequestToSign {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly body?: string;
  readonly authorization?: string | undefined;
}

export interface ClientKey {
  readonly keyId: string;
  readonly secret: string;
}

export interface SigningChanges {
  readonly createdS?: number;
  readonly nonce?: string;
}

/** The headers of a signature. */
export function signRequest(
  { method, url, body = "", authorization }: RequestToSign,
  { keyId, secret }: ClientKey,
  { createdS = Math.floor(Date.now() / 1_000), nonce = newNonce() }: SigningChanges = {},
): Record<string, string> {
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  const { pathname, search } = new URL(url, "http://shop");
  const names = ["@method", "@path", "@query", "content-digest"];
  const values = [method, pathname, search === "" ? "?" : search, digest];
  if (authorization !== undefined) {
    names.push("authorization");
    values.push(authorization);
  }
  const list = names.map((name) => `"${name}"`).join(" ");
  const params = `(${list});created=${String(createdS)};nonce="${nonce}";keyid="${keyId}";alg="hmac-sha256"`;
  const lines = names.map((name, at) => `"${name}": ${values[at] ?? ""}`);
  const base = [...lines, `"@signature-params": ${params}`].join("\n");
  return {
    "content-digest": digest,
    "signature-input": `shop=${params}`,
    signature: `shop=:${createHmac("sha256", secret).update(base).digest("base64")}:`,
  };
}

export function newNonce(): string {
  return randomBytes(18).toString("base64url");
}
