import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";
import mysql from "mysql2/promise";
import { connect } from "nats";
import { openDataFolder } from "../../scripts/launcher/data-folder.ts";
import { findProgram } from "../../scripts/launcher/find-programs.ts";
import { signalPid } from "../../scripts/launcher/guard.ts";
import type { RunningServers } from "../../scripts/launcher/servers.ts";
import { startServers } from "../../scripts/launcher/servers.ts";
import { eventually } from "../support/eventually.ts";
import { startThrowAwayServers } from "../support/servers.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** Given URLs, so that the database alone is started. */
const NO_REDIS_NO_NATS = {
  redis: "redis://example.test:6379",
  nats: "nats://example.test:4222",
};

const isGone = (pid: number): boolean => !signalPid(pid, 0);

async function countRows(url: string): Promise<number> {
  const connection = await mysql.createConnection(url);
  const [rows] = await connection.query("SELECT COUNT(*) AS n FROM kept.entries");
  await connection.end();
  return (rows as { n: number }[])[0]!.n;
}

describe("private servers", () => {
  let servers: RunningServers & { dataDir: string };
  before(async () => {
    servers = await startThrowAwayServers();
  });
  after(() => servers.stop());

  it("refuse who comes without their credentials", async () => {
    const { port: redisPort } = new URL(servers.redisUrl);
    const redis = new Redis({
      port: Number(redisPort),
      lazyConnect: true,
      retryStrategy: () => null,
    });
    redis.on("error", () => undefined);
    await assert.rejects(() => redis.ping(), /NOAUTH|closed/);
    redis.disconnect();
    const { host: natsHost } = new URL(servers.natsUrl);
    await assert.rejects(() => connect({ servers: natsHost, timeout: 2_000 }), /AUTHORIZATION/i);
    const { port } = new URL(servers.mysqlUrl);
    await assert.rejects(
      () => mysql.createConnection({ host: "127.0.0.1", port: Number(port), user: "root" }),
      /denied|not allowed/i,
    );
  });

  it("are durable: append-only file, JetStream on file, a flush at every commit", async () => {
    const redis = new Redis(servers.redisUrl);
    assert.deepEqual(await redis.config("GET", "appendonly"), ["appendonly", "yes"]);
    assert.deepEqual(await redis.config("GET", "appendfsync"), ["appendfsync", "everysec"]);
    redis.disconnect();
    const connection = await mysql.createConnection(servers.mysqlUrl);
    const [rows] = await connection.query("SELECT @@innodb_flush_log_at_trx_commit AS flush");
    assert.deepEqual(rows, [{ flush: 1 }]);
    await connection.end();
    const nats = await connect({
      servers: servers.natsUrl.replace(/\/\/.*@/, "//"),
      ...natsLogin(),
    });
    assert.equal(nats.info?.jetstream, true);
    await nats.close();
  });

  it("take streams that may hold more than the disk has free", async () => {
    const { bavail, bsize } = statfsSync(servers.dataDir);
    const nats = await connect({
      servers: servers.natsUrl.replace(/\/\/.*@/, "//"),
      ...natsLogin(),
    });
    const { streams } = await nats.jetstreamManager();
    const made = await streams.add({
      name: "roomy",
      subjects: ["roomy.*"],
      max_bytes: bavail * bsize,
    });
    assert.equal(made.config.max_bytes, bavail * bsize);
    await streams.delete("roomy");
    await nats.close();
  });

  for (const kind of ["redis", "nats", "mysql"] as const) {
    it(`comes back on its port and data after ${kind} was killed`, async () => {
      const server = servers.processes[kind];
      assert.ok(server);
      const { pid, url } = server;
      const connection = kind === "mysql" ? await mysql.createConnection(url) : null;
      await connection?.query("CREATE DATABASE kept");
      await connection?.query("CREATE TABLE kept.entries (id INT PRIMARY KEY)");
      await connection?.query("INSERT INTO kept.entries VALUES (1), (2)");
      connection?.on("error", () => undefined);
      await server.kill("SIGKILL");
      assert.equal(server.isRunning(), false);
      assert.ok(isGone(pid));
      await server.restart();
      assert.equal(server.url, url);
      assert.notEqual(server.pid, pid);
      if (kind === "mysql") assert.equal(await countRows(url), 2);
    });
  }

  function natsLogin(): { user: string; pass: string } {
    const { username, password } = new URL(servers.natsUrl);
    return { user: username, pass: password };
  }
});

describe("private servers and the end of their starter", () => {
  it("end within seconds when the starter is killed with SIGKILL", async () => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, "../support/start-servers-child.ts"), tempFolder()],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const pids = JSON.parse(line.toString()) as number[];
    assert.equal(pids.length, 3);
    assert.deepEqual(pids.filter(isGone), []);
    child.kill("SIGKILL");
    await eventually(() => pids.every(isGone), { timeoutMs: 10_000, what: "all servers are gone" });
  });

  it("are ended by the next start when one was left behind all the same", async () => {
    const folder = openDataFolder(tempFolder());
    const program = findProgram("redis-server");
    assert.ok(program !== null);
    const left = spawn(program, ["--port", "0"], { cwd: folder.redis, stdio: "ignore" });
    const { pid } = left;
    assert.ok(pid !== undefined);
    const ended = once(left, "exit");
    writeFileSync(join(folder.run, "redis.pid"), String(pid));
    const servers = await startServers({ dataDir: folder.root });
    await ended;
    assert.ok(isGone(pid));
    await servers.stop();
  });

  it("never ends a process of somebody else that got the recorded id", async () => {
    const folder = openDataFolder(tempFolder());
    const stranger = spawn("sleep", ["60"], { stdio: "ignore" });
    writeFileSync(join(folder.run, "redis.pid"), String(stranger.pid));
    const servers = await startServers({ dataDir: folder.root });
    await servers.stop();
    assert.equal(stranger.exitCode, null);
    stranger.kill();
  });
});

describe("private servers in a folder with a past", () => {
  it("throw a half-made database away and make it anew", async () => {
    const folder = openDataFolder(tempFolder());
    mkdirSync(`${folder.mysql}.new`);
    writeFileSync(join(`${folder.mysql}.new`, "ibdata1"), "half");
    const servers = await startServers({ dataDir: folder.root });
    assert.equal(existsSync(`${folder.mysql}.new`), false);
    await servers.stop();
  });

  it("start many at a time without taking each other's temporary tables", async () => {
    const sets = await Promise.all(
      Array.from({ length: 3 }, () =>
        startServers({ dataDir: tempFolder(), given: NO_REDIS_NO_NATS }),
      ),
    );
    const folders = sets.map(async ({ mysqlUrl }) => {
      const connection = await mysql.createConnection(mysqlUrl);
      const [rows] = await connection.query("SELECT @@tmpdir AS folder");
      await connection.end();
      return (rows as { folder: string }[])[0]!.folder;
    });
    assert.equal(new Set(await Promise.all(folders)).size, sets.length);
    await Promise.all(sets.map((set) => set.stop()));
  });

  it("do not start on a database that lost its tables, and leave no server behind", async () => {
    const folder = openDataFolder(tempFolder());
    mkdirSync(folder.mysql);
    writeFileSync(join(folder.mysql, "ibdata1"), "");
    await assert.rejects(
      () => startServers({ dataDir: folder.root }),
      /not a whole database folder/,
    );
    assert.equal(existsSync(join(folder.run, "redis.pid")), false);
  });

  it("move to another port when theirs was taken meanwhile", async () => {
    const dataDir = tempFolder();
    const first = await startServers({ dataDir });
    const { port } = first.processes.nats!;
    await first.stop();
    const stranger = createServer().listen(port, "127.0.0.1");
    await once(stranger, "listening");
    const second = await startServers({ dataDir });
    try {
      assert.notEqual(second.processes.nats!.port, port);
      assert.equal(second.processes.redis!.port, first.processes.redis!.port);
    } finally {
      await second.stop();
      stranger.close();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  it("start none of a kind whose URL is given", async () => {
    const given = NO_REDIS_NO_NATS;
    const servers = await startServers({ dataDir: tempFolder(), given });
    assert.deepEqual(Object.keys(servers.processes), ["mysql"]);
    assert.equal(servers.redisUrl, given.redis);
    await servers.stop();
  });
});
