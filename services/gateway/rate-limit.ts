// Rate limits per user and address: GCRA, shared over all nodes through Redis. All requests of one
// event-loop turn are asked about in one script call. While Redis is away every node limits by
// itself at the same rate, so that a limit never fails open.
import type { PlatformNode } from "../node.ts";
import type { RateLimitDecision, RateLimitStore } from "./rate-limit.store.ts";
import { createLocalGcra } from "./local-gcra.ts";
import type { Clock } from "../kernel/clock.ts";
import { PlatformError } from "../contracts/errors.ts";

/** Burst = this many seconds of the rate. */
export const BURST_FACTOR = 2;

export interface LimitRule {
  /** `user`, `ip` or `node`; part of the key and the label of the metric. */
  readonly name: string;
  /** Tells rules of one name apart, such as those of two nodes. */
  readonly scope?: string;
  /** Requests per second; 0 switches the rule off. */
  readonly perSecond: number;
}

/** The limit a caller will meet first, as the RateLimit headers tell it. */
export interface TightestLimit {
  /** Requests that may come at once. */
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until `limit` requests may come at once again. */
  readonly resetS: number;
}

export interface RateLimiter {
  /** The tightest limit over the rules. Rejects with RATE_LIMITED when one of them refuses. */
  check(subjects: readonly Subject[]): Promise<TightestLimit | undefined>;
}

export interface Subject {
  readonly rule: LimitRule;
  readonly id: string;
}

export interface RateLimiterParts {
  readonly store: RateLimitStore;
  readonly clock: Clock;
  /** Told the name of the rule. */
  readonly onRefused: (rule: string) => void;
}

export function createRateLimiter({ store, clock, onRefused }: RateLimiterParts): RateLimiter {
  const local = createLocalGcra(clock);
  return {
    async check(subjects) {
      const active = subjects.filter(({ rule }) => rule.perSecond > 0);
      if (active.length === 0) return undefined;
      const asked = active.map(({ rule, id }) => ({
        key: `${rule.name}${rule.scope ?? ""}:${id}`,
        perSecond: rule.perSecond,
        burst: rule.perSecond * BURST_FACTOR,
      }));
      const decisions = (await store.take(asked)) ?? asked.map((limit) => local.take(limit));
      const refusedAt = decisions.findIndex((decision) => !decision.isAllowed);
      const refused = decisions[refusedAt];
      if (refused !== undefined) {
        onRefused(active[refusedAt]?.rule.name ?? "");
        throw new PlatformError("RATE_LIMITED", {
          retry_after_s: refused.retryAfterMs / 1_000,
          limit: refused.limit,
        });
      }
      const tightest = decisions.reduce((least, one) =>
        one.remaining < least.remaining ? one : least,
      );
      return { ...tightest, resetS: resetSeconds(tightest) };
    },
  };
}

function resetSeconds({ limit, remaining }: RateLimitDecision): number {
  return Math.ceil(((limit - remaining) * BURST_FACTOR) / limit);
}

/** The limits of the settings; that of a node is counted for each node alone. */
export function limitRules({
  settings,
  nodeId,
}: Pick<PlatformNode, "settings" | "nodeId">): Readonly<Record<"user" | "ip" | "node", LimitRule>> {
  return {
    user: { name: "user", perSecond: settings.RATE_LIMIT_PER_USER_RPS },
    ip: { name: "ip", perSecond: settings.RATE_LIMIT_PER_IP_RPS },
    node: { name: "node", scope: nodeId, perSecond: settings.RATE_LIMIT_GLOBAL_RPS },
  };
}
