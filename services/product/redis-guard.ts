// Redis for what can do without it: the first command that fails or times out opens the guard, and
// then everything skips Redis at once, until a probe in the background gets an answer.
import type { Redis } from "ioredis";
import type { Log } from "../../mixins/log.ts";

const PROBE_INTERVAL_MS = 500;

export interface RedisGuard {
  /** The answer of `work`, or undefined when Redis is away. Never rejects. */
  attempt<T>(work: (redis: Redis) => Promise<T>): Promise<T | undefined>;
  close(): void;
}

export function createRedisGuard(redis: Redis, log: Log): RedisGuard {
  let probe: NodeJS.Timeout | undefined;
  let isClosed = false;

  const probeSoon = (): void => {
    if (isClosed) return;
    probe = setTimeout(() => {
      redis.ping().then(closeGuard, probeSoon);
    }, PROBE_INTERVAL_MS).unref();
  };
  const closeGuard = (): void => {
    probe = undefined;
    log.info({ redis: "product" }, "product cache is used again");
  };
  const openGuard = (error: unknown): void => {
    if (probe !== undefined || isClosed) return;
    log.warn({ err: error }, "product cache is skipped");
    probeSoon();
  };

  return {
    async attempt(work) {
      if (probe !== undefined || redis.status !== "ready") return undefined;
      try {
        return await work(redis);
      } catch (error) {
        openGuard(error);
        return undefined;
      }
    },
    close() {
      isClosed = true;
      clearTimeout(probe);
      redis.disconnect();
    },
  };
}
