// A server of its own, because it is killed and paused here.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { defineScript } from "../../lua/script.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import type { Log } from "../../mixins/log.ts";
import type { RunningServers } from "../../scripts/launcher/servers.ts";
import { silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { pause } from "../support/pause.ts";
import { startThrowAwayServers } from "../support/servers.ts";

const STORE = defineScript("product/store", {
  keys: ["entry"],
  args: ["version", "text", "ttl_ms"],
  reply: (raw) => raw,
});

describe("the Redis client", function () {
  this.timeout(60_000);
  let servers: RunningServers;
  let redis: Redis;
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (_, message) => void warnings.push(message) };

  before(async () => {
    servers = await startThrowAwayServers();
    redis = createRedis(servers.redisUrl, { name: "test node", log });
    assert.ok(await whenRedisReady(redis, 5_000));
  });

  after(async () => {
    redis.disconnect();
    await servers.stop();
  });

  const server = () => servers.processes.redis!;
  const isBack = () =>
    eventually(async () => await redis.ping(), {
      timeoutMs: 10_000,
      what: "Redis answers again",
    });

  it("refuses at once while the server is away, warns once, and comes back by itself", async () => {
    await server().kill("SIGKILL");
    await eventually(() => redis.status !== "ready", {
      timeoutMs: 5_000,
      what: "the loss is seen",
    });
    const startedAt = performance.now();
    await Promise.all([1, 2, 3].map(() => assert.rejects(redis.incr("lost"))));
    assert.ok(performance.now() - startedAt < 200);
    await eventually(() => warnings.length > 0, { timeoutMs: 5_000, what: "a warning" });
    await server().restart();
    await isBack();
    assert.deepEqual(warnings, ["redis is away"]);
    assert.equal(await redis.get("lost"), null, "a refused command is never sent later");
  });

  it("gives a command up after 300 ms when the server is paused", async () => {
    await pause(server());
    const startedAt = performance.now();
    await assert.rejects(redis.get("x"), /timed out/i);
    const waitedMs = performance.now() - startedAt;
    await server().kill("SIGCONT");
    assert.ok(waitedMs >= 250 && waitedMs < 1_000, `${waitedMs} ms`);
    await isBack();
  });

  it("does not send a command a second time after the connection broke under it", async () => {
    await redis.set("count", 0);
    const patient = createRedis(servers.redisUrl, { name: "p", log, commandTimeoutMs: 10_000 });
    assert.ok(await whenRedisReady(patient, 5_000));
    try {
      await pause(server());
      const lost = patient.incr("count").then(
        () => "answered",
        () => "refused",
      );
      await server().kill("SIGKILL");
      await server().restart();
      assert.equal(await lost, "refused");
      await isBack();
      assert.ok(Number(await redis.get("count")) <= 1);
    } finally {
      patient.disconnect();
    }
  });

  it("sends a script's text again to a server that has forgotten it", async () => {
    const args = { version: 1, text: "{}", ttl_ms: 60_000 };
    assert.equal(await STORE.run(redis, { entry: "one" }, args), 1);
    await redis.script("FLUSH");
    assert.equal(await STORE.run(redis, { entry: "two" }, args), 1);
    assert.equal(await redis.get("two"), "1:{}");
  });

  it("tells whether it got ready in time", async () => {
    const nobody = createRedis("redis://127.0.0.1:1/0", { name: "nobody", log: silentLog });
    assert.equal(await whenRedisReady(nobody, 100), false);
    nobody.disconnect();
  });
});
