// What is looked at most. Views are counted in memory and added to Redis once a second, into a
// bucket per five minutes; the roll-up sums the last hour's buckets, older ones weighing less, into
// one sorted set. It starts from the buckets every time, so running it twice does no harm. A crash
// loses a second of views, an empty Redis the list until people look again.
import type { Redis } from "ioredis";
import Redlock from "redlock";
import { type Clock, HOUR_MS, MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import type { RedisGuard } from "./redis-guard.ts";

export const VIEW_FLUSH_INTERVAL_MS = SECOND_MS;
export const HOT_ROLL_UP_INTERVAL_MS = 5 * SECOND_MS;
/** More than an answer holds, because some of them may be off the shelf by now. */
export const HOT_IDS_MAX = 100;
const BUCKET_MS = 5 * MINUTE_MS;
const BUCKETS_COUNTED = HOUR_MS / BUCKET_MS;
const BUCKET_TTL_S = (HOUR_MS + 2 * BUCKET_MS) / SECOND_MS;
/** Weight of a bucket against the one after it. */
const BUCKET_DECAY = 0.85;
const BUCKET_PRODUCTS_MAX = 10_000;
const LIST_PRODUCTS_MAX = 500;
const LIST_TTL_S = HOUR_MS / SECOND_MS;
/** Products counted between two flushes; the views of others are not counted. */
const COUNTED_PRODUCTS_MAX = 5_000;
const ROLL_UP_LOCK_MS = 3 * SECOND_MS;

export interface HotProducts {
  /** Counts one view. */
  view(id: string): void;
  /** Adds the counted views to Redis. Without Redis they are dropped: they are worth little later. */
  flush(): Promise<void>;
  /** Ids by falling heat, at most HOT_IDS_MAX; the last known ones when Redis is away. */
  top(): Promise<readonly string[]>;
  /** Makes the list out of the buckets, unless another node is just doing so. */
  rollUp(): Promise<void>;
}

export interface HotProductsParts {
  readonly guard: RedisGuard;
  readonly namespace: string;
  readonly clock: Clock;
}

export function createHotProducts({ guard, namespace, clock }: HotProductsParts): HotProducts {
  const keys = hotKeys(namespace);
  let views = new Map<string, number>();
  let lastTop: readonly string[] = [];

  return {
    view(id) {
      const known = views.get(id);
      if (known !== undefined) views.set(id, known + 1);
      else if (views.size < COUNTED_PRODUCTS_MAX) views.set(id, 1);
    },
    async flush() {
      if (views.size === 0) return;
      const counted = views;
      views = new Map();
      const key = keys.bucket(Math.floor(clock.now() / BUCKET_MS));
      await guard.attempt((redis) => addViews(redis, key, counted));
    },
    async top() {
      const ids = await guard.attempt((redis) => redis.zrevrange(keys.list, 0, HOT_IDS_MAX - 1));
      if (ids !== undefined) lastTop = ids;
      return lastTop;
    },
    async rollUp() {
      const bucket = Math.floor(clock.now() / BUCKET_MS);
      await guard.attempt((redis) => underLock(redis, keys.lock, () => sum(redis, keys, bucket)));
    },
  };
}

interface HotKeys {
  readonly list: string;
  readonly lock: string;
  bucket(number: number): string;
}

/** All of them in one hash slot, for ZUNIONSTORE. */
function hotKeys(namespace: string): HotKeys {
  const prefix = `${namespace}:product:{hot}`;
  return {
    list: `${prefix}:list`,
    lock: `${prefix}:roll-up`,
    bucket: (number) => `${prefix}:views:${number}`,
  };
}

async function addViews(
  redis: Redis,
  key: string,
  views: ReadonlyMap<string, number>,
): Promise<void> {
  const pipeline = redis.pipeline();
  for (const [id, count] of views) pipeline.zincrby(key, count, id);
  pipeline.zremrangebyrank(key, 0, -BUCKET_PRODUCTS_MAX - 1);
  pipeline.expire(key, BUCKET_TTL_S);
  for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
}

async function sum(redis: Redis, keys: HotKeys, newest: number): Promise<void> {
  const ages = Array.from({ length: BUCKETS_COUNTED }, (_, age) => age);
  const buckets = ages.map((age) => keys.bucket(newest - age));
  const weights = ages.map((age) => BUCKET_DECAY ** age);
  await redis.zunionstore(keys.list, buckets.length, ...buckets, "WEIGHTS", ...weights);
  await redis.zremrangebyrank(keys.list, 0, -LIST_PRODUCTS_MAX - 1);
  await redis.expire(keys.list, LIST_TTL_S);
}

/** Does nothing when somebody else holds the lock. */
async function underLock(redis: Redis, key: string, work: () => Promise<void>): Promise<void> {
  const redlock = new Redlock([redis as unknown as Redlock.CompatibleRedisClient], {
    retryCount: 0,
  });
  let lock: Redlock.Lock;
  try {
    lock = await redlock.acquire([key], ROLL_UP_LOCK_MS);
  } catch (error) {
    if (error instanceof Redlock.LockError) return;
    throw error;
  }
  try {
    await work();
  } finally {
    // A lock that has run out meanwhile cannot be given back; nothing depends on it.
    await lock.unlock().catch(() => undefined);
  }
}
