// lua/inventory/remember-available.lua: a newer version wins, whatever comes in which order.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { REMEMBER_AVAILABLE } from "../../lua/inventory.scripts.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { silentLog } from "../support/database.ts";
import { testServers } from "../support/servers.ts";

const TTL_MS = 5_000;
const RUNS = 100;

describe("remember-available.lua", () => {
  let redis: Redis;
  before(async () => {
    redis = createRedis((await testServers()).redisUrl, { name: "lua-test", log: silentLog });
    await whenRedisReady(redis, 2_000);
  });
  after(() => {
    redis.disconnect();
  });

  const newKey = (): string => `t${randomBytes(6).toString("hex")}`;
  const remember = (key: string, version: number, units: number): Promise<number> =>
    REMEMBER_AVAILABLE.run(
      redis,
      { available: [key] },
      { ttl_ms: TTL_MS, version_and_units: [version, units] },
    );

  it("stores what is not there, with an end", async () => {
    const key = newKey();
    assert.equal(await remember(key, 3, 7), 1);
    assert.equal(await redis.get(key), "3:7");
    const ttlMs = await redis.pttl(key);
    assert.ok(ttlMs > 0 && ttlMs <= TTL_MS);
  });

  it("keeps a newer version and says so", async () => {
    const key = newKey();
    await remember(key, 10, 7);
    assert.equal(await remember(key, 9, 1), 0);
    assert.equal(await redis.get(key), "10:7");
  });

  it("replaces a value that is not of its form", async () => {
    const key = newKey();
    await redis.set(key, "nonsense");
    assert.equal(await remember(key, 1, 2), 1);
  });

  it("takes several SKUs at once, each by its own version", async () => {
    const [first, second] = [newKey(), newKey()];
    await remember(first, 5, 1);
    const stored = await REMEMBER_AVAILABLE.run(
      redis,
      { available: [first, second] },
      { ttl_ms: TTL_MS, version_and_units: [4, 9, 1, 8] },
    );
    assert.equal(stored, 1);
    assert.deepEqual(await redis.mget(first, second), ["5:1", "1:8"]);
  });

  it("holds the units of the highest version after any order of arrival", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(1_000_000), { minLength: 1 }), async (versions) => {
        const key = newKey();
        await Promise.all(versions.map((version) => remember(key, version, version * 2)));
        const newest = Math.max(...versions);
        assert.equal(await redis.get(key), `${newest}:${newest * 2}`);
      }),
      { numRuns: RUNS },
    );
  });
});
