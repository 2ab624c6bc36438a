// GCRA in memory (ITU-T I.371; as a rate limiter: Brandur Leach, "Rate Limiting, Cells, and GCRA").
// One number per key: the theoretical arrival time. Bounded; the oldest keys are forgotten first.
import { LRUCache } from "lru-cache";
import type { Clock } from "../kernel/clock.ts";
import type { Limit, RateLimitDecision } from "./rate-limit.store.ts";

const KEYS_MAX = 100_000;

export interface LocalGcra {
  take(limit: Limit): RateLimitDecision;
}

export function createLocalGcra(clock: Clock): LocalGcra {
  const arrivals = new LRUCache<string, number>({ max: KEYS_MAX });
  return {
    take({ key, perSecond, burst }) {
      const nowMs = clock.monotonic();
      const intervalMs = 1_000 / perSecond;
      const toleranceMs = intervalMs * burst;
      const arrivalMs = Math.max(arrivals.get(key) ?? 0, nowMs) + intervalMs;
      const aheadMs = arrivalMs - nowMs;
      if (aheadMs > toleranceMs) {
        return {
          isAllowed: false,
          remaining: 0,
          limit: burst,
          retryAfterMs: aheadMs - toleranceMs,
        };
      }
      arrivals.set(key, arrivalMs);
      const remaining = Math.floor((toleranceMs - aheadMs) / intervalMs);
      return { isAllowed: true, remaining, limit: burst, retryAfterMs: 0 };
    },
  };
}
