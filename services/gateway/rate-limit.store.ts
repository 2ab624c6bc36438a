// The shared state of the rate limits, in Redis. Everything asked in one event-loop turn goes into
// one script call: a request then costs a few microseconds instead of a round trip of its own.
import type { Redis } from "ioredis";
import { GCRA } from "../../lua/rate-limit.scripts.ts";
import type { PlatformNode } from "../node.ts";

export interface Limit {
  /** Whose requests are counted, such as `user:17`. */
  readonly key: string;
  readonly perSecond: number;
  /** Requests that may come at once. */
  readonly burst: number;
}

export interface RateLimitDecision {
  readonly isAllowed: boolean;
  readonly limit: number;
  /** Requests that may still come at once. */
  readonly remaining: number;
  readonly retryAfterMs: number;
}

export interface RateLimitStore {
  /** One decision per limit, in order; undefined when the shared state cannot be reached. */
  take(limits: readonly Limit[]): Promise<readonly RateLimitDecision[] | undefined>;
}

/** Limits asked about in one script call. */
const BATCH_SIZE_MAX = 256;
/** After a failure Redis is left alone for this long: waiting for it must not cost every request. */
const REST_AFTER_FAILURE_MS = 1_000;

interface Waiting {
  readonly limits: readonly Limit[];
  readonly settle: (decisions: readonly RateLimitDecision[] | undefined) => void;
}

export function createRateLimitStore(node: PlatformNode): RateLimitStore {
  const redis: Redis = node.redis();
  const prefix = `${node.settings.NAMESPACE}:gateway:rate`;
  let waiting: Waiting[] = [];
  let size = 0;
  let restUntilMs = 0;

  function flush(): void {
    const batch = waiting;
    waiting = [];
    size = 0;
    if (batch.length === 0) return;
    void ask(batch.flatMap(({ limits }) => limits)).then((decisions) => {
      let at = 0;
      for (const { limits, settle } of batch) {
        settle(decisions?.slice(at, at + limits.length));
        at += limits.length;
      }
    });
  }

  async function ask(limits: readonly Limit[]): Promise<readonly RateLimitDecision[] | undefined> {
    try {
      return await askRedis(redis, prefix, limits);
    } catch (error) {
      restUntilMs = node.clock.monotonic() + REST_AFTER_FAILURE_MS;
      node.log.debug({ err: error }, "rate limits are local for a while");
      return undefined;
    }
  }

  return {
    take(limits) {
      if (node.clock.monotonic() < restUntilMs) return Promise.resolve(undefined);
      return new Promise((settle) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({ limits, settle });
        size += limits.length;
        if (size >= BATCH_SIZE_MAX) flush();
      });
    },
  };
}

const SECOND_US = 1_000_000;

async function askRedis(
  redis: Redis,
  prefix: string,
  limits: readonly Limit[],
): Promise<readonly RateLimitDecision[]> {
  const replies = await GCRA.run(
    redis,
    { limit: limits.map(({ key }) => `${prefix}:${key}`) },
    {
      interval_and_burst: limits.flatMap(({ perSecond, burst }) => [
        Math.ceil(SECOND_US / perSecond),
        burst,
      ]),
    },
  );
  return replies.map((reply, index) => ({ ...reply, limit: limits[index]?.burst ?? 0 }));
}
