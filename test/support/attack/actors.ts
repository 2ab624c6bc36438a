// Everybody who may knock: the owner of what is asked for, another customer, an admin, and those
// who come without a token or with one that no longer counts.
import assert from "node:assert/strict";
import { createAccessTokens } from "../../../mixins/auth/tokens.ts";
import type { TokenPair } from "../../../services/contracts/user.ts";
import { systemClock } from "../../../services/kernel/clock.ts";
import { eventually } from "../eventually.ts";
import { API, CUSTOMER_PASSWORD, type Shop, TOKEN_KEY } from "../shop.ts";
import { read, withClaims } from "../tokens.ts";

export const ACTORS = [
  "anonymous",
  "owner",
  "other",
  "admin",
  "expired",
  "revoked",
  "wrong_audience",
] as const;
export type Actor = (typeof ACTORS)[number];
/** Those whose token counts. */
export const ADMITTED: readonly Actor[] = ["owner", "other", "admin"];

const REVOKED_WITHIN_MS = 10_000;
const HOUR_S = 3_600;

export type Customer = Awaited<ReturnType<Shop["customer"]>>;

export interface Cast {
  readonly owner: Customer;
  readonly tokens: Readonly<Record<Actor, string | undefined>>;
}

const keyring = createAccessTokens({ current: TOKEN_KEY }, systemClock);

/** The token of a customer who has been made an admin. */
export function promoted(token: string): string {
  const { claims } = read(token);
  const { sub, fam } = claims as { sub: string; fam: string };
  return keyring.sign({ userId: sub, familyId: fam, role: "admin" });
}

export async function assembleCast(shop: Shop): Promise<Cast> {
  const owner = await shop.customer();
  const other = await shop.customer();
  const admin = await shop.customer();
  const token = owner.pair.access_token;
  const { iat } = read(token).claims as { iat: number };
  return {
    owner,
    tokens: {
      anonymous: undefined,
      owner: token,
      other: other.pair.access_token,
      admin: promoted(admin.pair.access_token),
      expired: withClaims(token, { iat: iat - HOUR_S, exp: iat - 1 }),
      revoked: await revokedToken(shop, owner),
      wrong_audience: withClaims(token, { aud: "another-api" }),
    },
  };
}

/** A token of the owner's whose session he has ended. */
async function revokedToken(shop: Shop, { email }: Customer): Promise<string> {
  const visitor = shop.visitor();
  const body = { email, password: CUSTOMER_PASSWORD };
  const { data } = await visitor.post<TokenPair>(`${API}/auth/login`, body);
  const token = data.access_token;
  assert.equal((await visitor.post(`${API}/auth/logout`, undefined, { token })).status, 200);
  await eventually(async () => (await visitor.get(`${API}/users/me`, { token })).status === 401, {
    timeoutMs: REVOKED_WITHIN_MS,
    intervalMs: 200,
    what: "the session has ended",
  });
  return token;
}
