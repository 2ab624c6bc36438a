// A Redis that sentinels look after: the client finds the master, and finds the new one when the old one
// is killed. Real servers of this test's own: a master, a replica, a sentinel.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { type GuardedProcess, startGuarded } from "../../scripts/launcher/guard.ts";
import { inheritedEnvironment } from "../../scripts/launcher/node-process.ts";
import { sentinelOptions } from "../../mixins/redis/redis-address.ts";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { silentLog as log } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { findServer } from "../../scripts/launcher/find-programs.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const PASSWORD = "a password of the test";
const MASTER = "shop";
const READY_TIMEOUT_MS = 20_000;
const FAILOVER_TIMEOUT_MS = 60_000;

describe("a Redis behind sentinels", function () {
  this.timeout(150_000);
  const folder = tempFolder();
  const started: GuardedProcess[] = [];
  const clients: Redis[] = [];

  after(async () => {
    for (const client of clients) client.disconnect();
    await Promise.all(started.map((server) => server.stop()));
  });

  async function start(name: string, lines: readonly string[]): Promise<GuardedProcess> {
    const file = join(folder, `${name}.conf`);
    const always = ["bind 127.0.0.1", `dir ${folder}`, 'save ""', `dbfilename ${name}.rdb`];
    const isSentinel = name === "sentinel";
    writeFileSync(file, [...(isSentinel ? always.slice(0, 2) : always), ...lines, ""].join("\n"));
    const program = await findServer("redis");
    assert.ok(program !== null);
    const server = await startGuarded({
      program: program.path,
      args: [file, ...(isSentinel ? ["--sentinel"] : [])],
      cwd: folder,
      logFile: join(folder, `${name}.log`),
      env: inheritedEnvironment(),
    });
    started.push(server);
    return server;
  }

  function client(url: string): Redis {
    const redis = createRedis(url, { name: "test", log });
    clients.push(redis);
    return redis;
  }

  it("is written to through its master, and after a failover through the new one", async () => {
    const [first, second, watch] = [
      await findFreePort(),
      await findFreePort(),
      await findFreePort(),
    ];
    const auth = [`requirepass "${PASSWORD}"`, `masterauth "${PASSWORD}"`];
    const master = await start("master", [`port ${first}`, ...auth]);
    await start("replica", [`port ${second}`, ...auth, `replicaof 127.0.0.1 ${first}`]);
    const direct = client(`redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${second}`);
    assert.ok(await whenRedisReady(direct, READY_TIMEOUT_MS));
    await eventually(async () => (await direct.info("replication")).includes("link_status:up"), {
      timeoutMs: READY_TIMEOUT_MS,
      what: "the replica follows",
    });
    await start("sentinel", [
      `port ${watch}`,
      `sentinel monitor ${MASTER} 127.0.0.1 ${first} 1`,
      `sentinel auth-pass ${MASTER} "${PASSWORD}"`,
      `sentinel down-after-milliseconds ${MASTER} 1000`,
      `sentinel failover-timeout ${MASTER} 5000`,
    ]);
    const password = encodeURIComponent(PASSWORD);
    const redis = client(`redis-sentinel://:${password}@127.0.0.1:${watch}/${MASTER}`);
    assert.ok(await whenRedisReady(redis, READY_TIMEOUT_MS));
    await redis.set("before", "1");
    await eventually(async () => (await direct.get("before")) === "1", {
      timeoutMs: READY_TIMEOUT_MS,
      what: "the replica has what the master has",
    });
    // Sentinels learn of replicas from the master, every ten seconds.
    const sentinel = client(`redis://127.0.0.1:${watch}`);
    await eventually(
      async () => {
        const replicas = (await sentinel.call("SENTINEL", "REPLICAS", MASTER)) as unknown[];
        return replicas.length === 1;
      },
      { timeoutMs: FAILOVER_TIMEOUT_MS, what: "the sentinel knows the replica", intervalMs: 200 },
    );
    await master.stop();
    await eventually(() => redis.set("after", "2"), {
      timeoutMs: FAILOVER_TIMEOUT_MS,
      what: "the new master is written to",
      intervalMs: 200,
    });
    assert.equal(redis.options.name, MASTER);
    assert.deepEqual(await redis.mget("before", "after"), ["1", "2"]);
    assert.equal(await direct.get("after"), "2");
  });

  it("is told from a single one by its URL", () => {
    assert.equal(sentinelOptions("redis://127.0.0.1:6379"), undefined);
    const options = sentinelOptions("redis-sentinel://a:1/m?sentinel=b:2&sentinel=c&db=3");
    assert.ok(options !== undefined);
    assert.deepEqual(options.sentinels, [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
      { host: "c", port: 26_379 },
    ]);
    assert.equal(options.db, 3);
    assert.throws(() => sentinelOptions("redis-sentinel://a:1"), /master/);
  });
});
