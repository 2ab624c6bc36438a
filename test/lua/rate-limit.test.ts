// The shared rate limit on a real Redis: each reply, and a random run against the local limiter.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { GCRA } from "../../lua/rate-limit.scripts.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { createLocalGcra } from "../../services/gateway/local-gcra.ts";
import { silentLog } from "../support/database.ts";
import { testServers } from "../support/servers.ts";

const HOUR_US = 3_600_000_000;

describe("rate-limit/gcra", () => {
  let redis: Redis;

  before(async () => {
    const { redisUrl } = await testServers();
    redis = createRedis(redisUrl, { name: "test-gcra", log: silentLog, commandTimeoutMs: 5_000 });
    assert.ok(await whenRedisReady(redis, 5_000));
  });

  after(() => {
    redis.disconnect();
  });

  it("allows as many requests at once as the burst and counts them down", async () => {
    const limit = [randomUUID()];
    for (const remaining of [2, 1, 0]) {
      const [reply] = await GCRA.run(redis, { limit }, { interval_and_burst: [HOUR_US, 3] });
      assert.deepEqual(reply, { isAllowed: true, remaining, retryAfterMs: 0 });
    }
  });

  it("refuses the next one and tells how long to wait", async () => {
    const limit = [randomUUID()];
    const ask = () => GCRA.run(redis, { limit }, { interval_and_burst: [HOUR_US, 1] });
    assert.equal((await ask())[0]?.isAllowed, true);
    const [refused] = await ask();
    assert.equal(refused?.isAllowed, false);
    assert.ok(refused.retryAfterMs > HOUR_US / 1_000 - 60_000);
    assert.ok(refused.retryAfterMs <= HOUR_US / 1_000);
  });

  it("takes nothing from a limit that refuses", async () => {
    const limit = [randomUUID()];
    const ask = () => GCRA.run(redis, { limit }, { interval_and_burst: [HOUR_US, 1] });
    await ask();
    const waits = [(await ask())[0], (await ask())[0]].map((reply) => reply?.retryAfterMs ?? 0);
    assert.ok((waits[1] ?? 0) <= (waits[0] ?? 0));
  });

  it("answers a batch in order, the same key twice included", async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const replies = await GCRA.run(
      redis,
      { limit: [one, other, one] },
      { interval_and_burst: [HOUR_US, 1, HOUR_US, 5, HOUR_US, 1] },
    );
    assert.deepEqual(
      replies.map(({ isAllowed, remaining }) => [isAllowed, remaining]),
      [
        [true, 0],
        [true, 4],
        [false, 0],
      ],
    );
  });

  it("decides like the local limiter while no time passes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ key: fc.nat(3), burst: fc.integer({ min: 1, max: 5 }) }), {
          maxLength: 40,
        }),
        async (requests) => {
          const run = randomUUID();
          const local = createLocalGcra({ now: () => 0, monotonic: () => 0 });
          for (const { key, burst } of requests) {
            const limit = [`${run}:${String(key)}`];
            const [shared] = await GCRA.run(
              redis,
              { limit },
              { interval_and_burst: [HOUR_US, burst] },
            );
            const own = local.take({ key: String(key), perSecond: 1_000_000 / HOUR_US, burst });
            assert.equal(shared?.isAllowed, own.isAllowed);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
