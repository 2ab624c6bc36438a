// What presenting a refresh token comes to. Pure; every age is measured by the database clock.
//
// A token is spent once and makes one successor. Two requests of one honest client that carry the
// same token at the same time both get an answer: within the grace period a spent token makes
// another successor. Those siblings stand for one holder: when one of them is spent the others are
// spent with it, so that a thief who took part in the race and the owner cannot both go on.
import type { ErrorSlug } from "../../contracts/errors.ts";
import { DAY_MS, SECOND_MS } from "../../kernel/clock.ts";

export const FAMILY_LIFETIME_MS = 30 * DAY_MS;
export const REFRESH_GRACE_MS = 10 * SECOND_MS;
/** Successors of one token; more than an honest client's parallel requests is theft. */
export const SUCCESSORS_PER_TOKEN_MAX = 8;

export interface PresentedToken {
  /** Time since it was spent, ms; undefined while it is not. */
  readonly spentForMs: number | undefined;
  readonly successors: number;
  readonly familyIsRevoked: boolean;
  readonly familyIsExpired: boolean;
}

export type RefreshDecision =
  | { readonly outcome: "rotate" }
  | { readonly outcome: "refuse"; readonly error: ErrorSlug; readonly revokeFamily: boolean };

export function decideRefresh(token: PresentedToken | undefined): RefreshDecision {
  if (token === undefined || token.familyIsExpired) return refuse("AUTH_REFRESH_INVALID");
  const isSpent = token.spentForMs !== undefined;
  const isWithinGrace = isSpent && token.spentForMs <= REFRESH_GRACE_MS;
  if (isSpent && !isWithinGrace) {
    return refuse("AUTH_TOKEN_REUSED", { revokeFamily: !token.familyIsRevoked });
  }
  if (token.familyIsRevoked) return refuse("AUTH_REFRESH_INVALID");
  if (token.successors >= SUCCESSORS_PER_TOKEN_MAX) {
    return refuse("AUTH_TOKEN_REUSED", { revokeFamily: true });
  }
  return { outcome: "rotate" };
}

function refuse(error: ErrorSlug, { revokeFamily } = { revokeFamily: false }): RefreshDecision {
  return { outcome: "refuse", error, revokeFamily };
}
