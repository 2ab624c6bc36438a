// Access tokens: JWT with HMAC-SHA256 as RFC 7519 and RFC 8725 ask for. The algorithm, type,
// issuer and audience are pinned; nothing in a token's header chooses how it is verified.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Clock } from "../../services/kernel/clock.ts";
import type { Role } from "../../services/contracts/contract.ts";

export interface Principal {
  readonly userId: string;
  readonly role: Role;
  /** Family of refresh tokens this access token belongs to. */
  readonly familyId: string;
  readonly issuedAtS: number;
  readonly expiresAtS: number;
}

export const ACCESS_TOKEN_LIFETIME_S = 900;
export const TOKEN_ISSUER = "flash-sale-platform";
export const TOKEN_AUDIENCE = "shop-api";
/** Clocks of two nodes may differ by this much. */
const CLOCK_TOLERANCE_S = 30;
const TOKEN_LENGTH_MAX = 2_048;
const VERIFIED_TOKENS_MAX = 500_000;

export interface TokenKeys {
  readonly current: string;
  readonly previous?: string | undefined;
}

export interface AccessTokens {
  sign(principal: Pick<Principal, "userId" | "role" | "familyId">): string;
  /** The principal of a valid token, else undefined; never throws. */
  verify(token: string): Principal | undefined;
}

interface Key {
  readonly id: string;
  readonly secret: KeyObject;
  readonly header: string;
}

interface Claims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly role: Role;
  readonly fam: string;
  readonly iat: number;
  readonly exp: number;
}

/** The key id is a hash of the key, so that it rotates with it and tells nothing about it. */
function makeKey(secret: string): Key {
  const id = createHmac("sha256", secret).update("kid").digest("base64url").slice(0, 8);
  const header = encode({ alg: "HS256", typ: "at+jwt", kid: id });
  return { id, secret: createSecretKey(Buffer.from(secret, "utf8")), header };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** The verified-token cache is keyed by the whole token and never outlives its `exp`. */
export function createAccessTokens(keys: TokenKeys, clock: Clock): AccessTokens {
  const current = makeKey(keys.current);
  const accepted = [current, ...(keys.previous === undefined ? [] : [makeKey(keys.previous)])];
  const verified = new LRUCache<string, Principal>({ max: VERIFIED_TOKENS_MAX });

  function sign(principal: Pick<Principal, "userId" | "role" | "familyId">): string {
    const iat = Math.floor(clock.now() / 1000);
    const claims: Claims = {
      iss: TOKEN_ISSUER,
      aud: TOKEN_AUDIENCE,
      sub: principal.userId,
      role: principal.role,
      fam: principal.familyId,
      iat,
      exp: iat + ACCESS_TOKEN_LIFETIME_S,
    };
    const body = `${current.header}.${encode(claims)}`;
    return `${body}.${createHmac("sha256", current.secret).update(body).digest("base64url")}`;
  }

  function verify(token: string): Principal | undefined {
    const nowS = clock.now() / 1000;
    const known = verified.get(token);
    if (known !== undefined) return isCurrent(known, nowS) ? known : undefined;
    const principal = verifyUnknown(token, accepted);
    if (principal === undefined || !isCurrent(principal, nowS)) return undefined;
    verified.set(token, principal);
    return principal;
  }

  return { sign, verify };
}

function isCurrent(principal: Principal, nowS: number): boolean {
  return nowS < principal.expiresAtS && principal.issuedAtS <= nowS + CLOCK_TOLERANCE_S;
}

function verifyUnknown(token: string, keys: readonly Key[]): Principal | undefined {
  if (token.length > TOKEN_LENGTH_MAX) return undefined;
  const parts = token.split(".");
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined) return undefined;
  // Comparing the whole header pins alg, typ and kid at once and refuses jku, jwk and the rest.
  const key = keys.find((candidate) => candidate.header === header);
  if (key === undefined) return undefined;
  const expected = createHmac("sha256", key.secret).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature ?? "", "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return principalOf(payload);
}

function principalOf(payload: string): Principal | undefined {
  try {
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Claims;
    if (claims.iss !== TOKEN_ISSUER || claims.aud !== TOKEN_AUDIENCE) return undefined;
    if (claims.exp - claims.iat > ACCESS_TOKEN_LIFETIME_S) return undefined;
    return {
      userId: claims.sub,
      role: claims.role,
      familyId: claims.fam,
      issuedAtS: claims.iat,
      expiresAtS: claims.exp,
    };
  } catch {
    return undefined;
  }
}
