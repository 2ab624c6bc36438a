// Used nonces of signed requests: two gateways over one Redis, and one whose Redis is away.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { createNonceStore } from "../../services/gateway/nonce.store.ts";
import { silentLog } from "../support/database.ts";
import { testServers } from "../support/servers.ts";

const KEPT_MS = 60_000;
const NOWHERE = "redis://127.0.0.1:1";

describe("nonces of signed requests", () => {
  const clients: Redis[] = [];
  const prefix = `test:nonce:${randomUUID()}`;
  let url: string;

  before(async () => {
    url = (await testServers()).redisUrl;
  });
  after(() => {
    for (const client of clients) client.disconnect();
  });

  function connect(to: string): Redis {
    const redis = createRedis(to, { name: "nonces", log: silentLog });
    clients.push(redis);
    return redis;
  }

  function storeOver(redis: Redis, noncesMax?: number) {
    const clock = { nowMs: 0, now: () => clock.nowMs, monotonic: () => clock.nowMs };
    const bound = noncesMax === undefined ? {} : { noncesMax };
    return { clock, store: createNonceStore({ clock, log: silentLog, redis, prefix, ...bound }) };
  }

  async function connected(): Promise<Redis> {
    const redis = connect(url);
    assert.ok(await whenRedisReady(redis, 5_000));
    return redis;
  }

  it("are used once by all gateways together, however many ask at once", async () => {
    const stores = [await connected(), await connected()].map((redis) => storeOver(redis).store);
    const id = `client:${randomUUID()}`;
    const asked = stores.flatMap((store) => [store.claim(id, KEPT_MS), store.claim(id, KEPT_MS)]);
    const taken = (await Promise.all(asked)).filter(Boolean);
    assert.equal(taken.length, 1);
  });

  it("are kept in Redis as long as told and no longer", async () => {
    const redis = await connected();
    const id = `client:${randomUUID()}`;
    assert.equal(await storeOver(redis).store.claim(id, KEPT_MS), true);
    const leftMs = await redis.pttl(`${prefix}:${id}`);
    assert.ok(leftMs > 0 && leftMs <= KEPT_MS, String(leftMs));
  });

  it("are refused by the gateway that saw them when Redis forgets them", async () => {
    const redis = await connected();
    const { store } = storeOver(redis);
    const id = `client:${randomUUID()}`;
    assert.equal(await store.claim(id, KEPT_MS), true);
    await redis.del(`${prefix}:${id}`);
    assert.equal(await store.claim(id, KEPT_MS), false);
  });

  it("are judged by this node alone while Redis is away, until its memory is full", async () => {
    const { store, clock } = storeOver(connect(NOWHERE), 3);
    for (const id of ["a", "b", "c"]) assert.equal(await store.claim(id, KEPT_MS), true, id);
    assert.equal(await store.claim("a", KEPT_MS), false);
    await assert.rejects(store.claim("d", KEPT_MS), (error) =>
      isPlatformError(error, "SERVICE_UNAVAILABLE"),
    );
    clock.nowMs = KEPT_MS + 1;
    assert.equal(await store.claim("e", KEPT_MS), true, "what ran out makes room");
  });

  it("may be more than memory holds while Redis knows them", async () => {
    const { store } = storeOver(await connected(), 2);
    const ids = Array.from({ length: 5 }, () => `client:${randomUUID()}`);
    for (const id of ids) assert.equal(await store.claim(id, KEPT_MS), true);
    for (const id of ids) assert.equal(await store.claim(id, KEPT_MS), false);
  });
});
