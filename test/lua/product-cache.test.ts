import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { PRODUCT_OUTDATE, PRODUCT_STORE } from "../../lua/product.scripts.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { silentLog } from "../support/database.ts";
import { testServers } from "../support/servers.ts";

const TTL_MS = 60_000;

describe("the scripts of the product cache", () => {
  let redis: Redis;
  let entry: string;

  before(async () => {
    redis = createRedis((await testServers()).redisUrl, { name: "product-lua", log: silentLog });
    await whenRedisReady(redis, 2_000);
  });
  beforeEach(() => {
    entry = `test:${randomBytes(6).toString("hex")}:{1}`;
  });
  afterEach(() => redis.del(entry));
  after(() => redis.disconnect());

  const store = (version: number, text: string) =>
    PRODUCT_STORE.run(redis, { entry }, { version, text, ttl_ms: TTL_MS });
  const outdate = (version: number) =>
    PRODUCT_OUTDATE.run(redis, { entry }, { version, ttl_ms: TTL_MS });

  it("store where nothing is, with a time to live", async () => {
    assert.equal(await store(3, "{}"), "stored");
    assert.equal(await redis.get(entry), "3:{}");
    const ttlMs = await redis.pttl(entry);
    assert.ok(ttlMs > 0 && ttlMs <= TTL_MS, `${ttlMs} ms`);
  });

  it("replace an older version and one of the same age", async () => {
    await store(9, "a");
    assert.equal(await store(9, "b"), "stored");
    assert.equal(await store(10, "c"), "stored");
    assert.equal(await redis.get(entry), "10:c");
  });

  it("refuse to put an older version over a newer one", async () => {
    await store(10, "new");
    assert.equal(await store(9, "old"), "outdated");
    assert.equal(await redis.get(entry), "10:new");
  });

  it("outdate an older version, and keep a slow reader from putting it back", async () => {
    await store(1, "old");
    assert.equal(await outdate(2), "outdated");
    assert.equal(await redis.get(entry), "2:");
    assert.equal(await store(1, "old"), "outdated");
    assert.equal(await store(2, "new"), "stored");
  });

  it("outdate what is not there yet", async () => {
    assert.equal(await outdate(2), "outdated");
    assert.equal(await store(1, "old"), "outdated");
  });

  it("leave a version alone that is as new as the change", async () => {
    await store(2, "new");
    assert.equal(await outdate(2), "current");
    assert.equal(await outdate(1), "current");
    assert.equal(await redis.get(entry), "2:new");
  });
});
