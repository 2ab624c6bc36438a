// Redis for what can do without it: the first command that fails or times out opens the guard, and
// then everything skips Redis at once, until a probe in the background gets an answer. The first
// probe goes out immediately: a time-out in a process that was busy itself costs a millisecond of
// Redis and not half a second.
import type { Redis } from "ioredis";
import type { Log } from "../../mixins/log.ts";

const PROBE_INTERVAL_MS = 500;

export interface RedisGuard {
  /** The answer of `work`, or undefined when Redis is away. Never rejects. */
  attempt<T>(work: (redis: Redis) => Promise<T>): Promise<T | undefined>;
  close(): void;
}

/** @param redis with a command time-out, which is all that a Redis without an answer costs. */
export function createRedisGuard(redis: Redis, log: Log): RedisGuard {
  let isOpen = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  async function probe(): Promise<void> {
    for (let failures = 0; !isClosed; failures += 1) {
      try {
        await redis.ping();
        isOpen = false;
        if (failures > 0) log.info({}, "product cache is used again");
        return;
      } catch (error) {
        if (failures === 0) log.warn({ err: error }, "product cache is skipped");
      }
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, PROBE_INTERVAL_MS).unref();
      });
    }
  }

  function open(): void {
    if (isOpen || isClosed) return;
    isOpen = true;
    void probe();
  }

  return {
    async attempt(work) {
      if (isOpen || redis.status !== "ready") return undefined;
      try {
        return await work(redis);
      } catch {
        open();
        return undefined;
      }
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      redis.disconnect();
    },
  };
}
