// Signed requests: one profile of RFC 9421 (HTTP Message Signatures) with RFC 9530 (Content-Digest).
//
//   Content-Digest: sha-256=:<base64 SHA-256 of the body's bytes; of no bytes without a body>:
//   Signature-Input: shop=("@method" "@path" "@query" "content-digest" "authorization");
//                    created=<Unix seconds>;nonce="<16-64 of A-Za-z0-9_->";keyid="<client>";alg="hmac-sha256"
//   Signature: shop=:<base64 HMAC-SHA256 of the signature base>:
//
// "authorization" is covered exactly when the request has that header. Order, label, parameters and
// spelling are as shown, on one line: what a program writes in one way is read in one way.
//
// A client's secret is stored nowhere: it is made from the shop's key, the client's name and the number
// of the change that gave it out. It is used as it is written, as ASCII.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

const LABEL = "shop";
const COMPONENTS = ["@method", "@path", "@query", "content-digest"] as const;
const INPUT = new RegExp(
  `^${LABEL}=(\\((${COMPONENTS.map((name) => `"${name}"`).join(" ")}( "authorization")?)\\)` +
    ';created=([1-9][0-9]{9});nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9_-]{3,40})"' +
    ';alg="hmac-sha256")$',
);
const SIGNATURE = new RegExp(`^${LABEL}=:([A-Za-z0-9+/]{43}=):$`);

/** What a signer is told to cover, for the header Accept-Signature. */
export const ACCEPTED_SIGNATURE = `${LABEL}=(${COMPONENTS.map((name) => `"${name}"`).join(" ")});created;nonce;keyid;alg="hmac-sha256"`;

export interface SignatureClaim {
  readonly keyId: string;
  /** Seconds since the Unix epoch. */
  readonly createdS: number;
  readonly nonce: string;
  readonly signature: Buffer;
  /** The signature's parameters as they stand in the header. */
  readonly params: string;
  readonly coversAuthorization: boolean;
}

export interface SignedMessage {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: string;
  /** Of the body that was received. */
  readonly contentDigest: string;
  readonly authorization: string | undefined;
}

/** Undefined for headers of any other form than the profile's. */
export function readClaim(input: string, signature: string): SignatureClaim | undefined {
  const [, params, , authorization, created, nonce, keyId] = INPUT.exec(input) ?? [];
  const [, mac] = SIGNATURE.exec(signature) ?? [];
  if (params === undefined || nonce === undefined || keyId === undefined || mac === undefined) {
    return undefined;
  }
  return {
    keyId,
    createdS: Number(created),
    nonce,
    signature: Buffer.from(mac, "base64"),
    params,
    coversAuthorization: authorization !== undefined,
  };
}

/** The value of Content-Digest. */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

/** What is signed (RFC 9421, 2.5): a line per component, and the parameters last. */
export function signatureBase(
  components: readonly (readonly [name: string, value: string])[],
  params: string,
): string {
  return [...components, ["@signature-params", params] as const]
    .map(([name, value]) => `"${name}": ${value}`)
    .join("\n");
}

/** @param key bytes of the shared secret. */
export function signatureOf(base: string, key: string | Uint8Array): Buffer {
  return createHmac("sha256", key).update(base, "utf8").digest();
}

/** Whether the claim's signature is the message's, made with this secret. Never throws. */
export function isSignedBy(claim: SignatureClaim, message: SignedMessage, secret: string): boolean {
  const { authorization } = message;
  if (claim.coversAuthorization !== (authorization !== undefined)) return false;
  const [path, query] = splitOnce(message.url, "?");
  const values = [message.method, path, `?${query ?? ""}`, message.contentDigest];
  const components = COMPONENTS.map((name, at) => [name, values[at] ?? ""] as const);
  const covered =
    authorization === undefined
      ? components
      : [...components, ["authorization", authorization.trim()] as const];
  const wanted = signatureOf(signatureBase(covered, claim.params), secret);
  return claim.signature.length === wanted.length && timingSafeEqual(claim.signature, wanted);
}

/** @param version number of the change that gave the secret out: a new one makes a new secret. */
export function clientSecret(shopKey: string, keyId: string, version: number): string {
  const context = `api-client.${keyId}.${String(version)}`;
  return createHmac("sha256", shopKey).update(context).digest("base64url");
}

function splitOnce(text: string, mark: string): readonly [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
