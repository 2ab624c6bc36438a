import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { getPriority, setPriority } from "node:os";
import { join } from "node:path";
import { signalPid } from "../../scripts/launcher/guard.ts";
import { eventually } from "../support/eventually.ts";
import { isGone, LaunchedPlatform } from "../support/launched-platform.ts";
import { tempFolder } from "../support/temp-folder.ts";

const START_TIMEOUT_MS = 120_000;
/** A process that was killed is back within 3 s; the rest is the time it needs to start on a busy machine. */
const BACK_TIMEOUT_MS = 15_000;
const GONE_TIMEOUT_MS = 30_000;
const NODES = ["edge", "core", "worker"];
const SERVERS = ["redis", "nats", "mysql"];

const EDGE_NICE = -5;

function mayRaisePriorities(): boolean {
  try {
    setPriority(EDGE_NICE);
    setPriority(0);
    return true;
  } catch {
    return false;
  }
}

const answers = async (url: string): Promise<boolean> => (await fetch(url)).status === 200;

describe("npm start", function () {
  this.timeout(START_TIMEOUT_MS);
  const dataDir = tempFolder();
  let platform: LaunchedPlatform;
  let url: string;

  before(async () => {
    platform = new LaunchedPlatform({ dataDir });
    url = await platform.open();
  });
  after(async () => {
    platform.child.kill("SIGKILL");
    await platform.exited;
  });

  it("ends with an open shop and says where it is and how to log in", async () => {
    assert.ok(await answers(`${url}/readyz`));
    for (const text of [`${url}/docs`, "admin@shop.test", "demo@shop.test", "npm run repl"]) {
      assert.ok(platform.output.includes(text), `${text} is not in:\n${platform.output}`);
    }
  });

  it("runs every server and every role as a process that tells its metrics", async () => {
    const names = platform.state.processes.map((one) => one.name);
    assert.deepEqual(names.sort(), [...SERVERS, ...NODES].sort());
    const targets = JSON.parse(readFileSync(join(dataDir, "prometheus-targets.json"), "utf8")) as {
      targets: string[];
    }[];
    assert.equal(targets.length, NODES.length);
    for (const { targets: addresses } of targets) {
      for (const address of addresses) assert.ok(await answers(`http://${address}/metrics`));
    }
  });

  it("tells a second start where the first one runs and leaves it alone", async () => {
    const { pids } = platform;
    const second = new LaunchedPlatform({ dataDir });
    assert.equal(await second.exited, 0);
    assert.ok(second.output.includes(url), second.output);
    assert.deepEqual(platform.pids, pids);
  });

  for (const name of [...NODES, ...SERVERS]) {
    it(`brings ${name} back after it was killed`, async () => {
      const killed = platform.pidOf(name);
      signalPid(killed, "SIGKILL");
      await eventually(() => platform.pidOf(name) !== killed && !isGone(platform.pidOf(name)), {
        timeoutMs: BACK_TIMEOUT_MS,
        what: `${name} runs again`,
      });
      const metricsPort = platform.state.processes.find((one) => one.name === name)?.metrics_port;
      if (metricsPort !== undefined) {
        await eventually(() => answers(`http://127.0.0.1:${metricsPort}/metrics`), {
          timeoutMs: BACK_TIMEOUT_MS,
          what: `${name} has started`,
        });
      }
      await eventually(() => answers(`${url}/readyz`), {
        timeoutMs: BACK_TIMEOUT_MS,
        what: "the shop is ready again",
      });
    });
  }

  it("lets the gateway go first where it may say so, also after it came back", () => {
    const nice = NODES.map((name) => getPriority(platform.pidOf(name)));
    assert.deepEqual(nice, [mayRaisePriorities() ? EDGE_NICE : 0, 0, 0]);
  });

  it("stops everything on Ctrl-C, also when npm passes the signal on a second time", async () => {
    const { pids } = platform;
    platform.child.kill("SIGINT");
    platform.child.kill("SIGINT");
    assert.equal(await platform.exited, 0, platform.output);
    assert.deepEqual(
      pids.filter((pid) => !isGone(pid)),
      [],
    );
  });

  it("starts again on the same address and data, and leaves nothing behind when killed", async () => {
    platform = new LaunchedPlatform({ dataDir });
    assert.equal(await platform.open(), url);
    const { pids } = platform;
    platform.child.kill("SIGKILL");
    await eventually(() => pids.every(isGone), {
      timeoutMs: GONE_TIMEOUT_MS,
      what: "every process is gone",
    });
  });

  it("starts after it was killed, and stops when the npm that started it is killed", async () => {
    platform = new LaunchedPlatform({ dataDir, throughNpm: true });
    await platform.open();
    const { pids } = platform;
    platform.child.kill("SIGKILL");
    await eventually(() => pids.every(isGone), {
      timeoutMs: GONE_TIMEOUT_MS,
      what: "every process is gone",
    });
  });
});

describe("npm start that cannot", function () {
  this.timeout(START_TIMEOUT_MS);

  it("says that the port is taken, names another one and starts nothing", async () => {
    const stranger = createServer().listen(0, "127.0.0.1");
    await once(stranger, "listening");
    const { port } = stranger.address() as AddressInfo;
    const start = new LaunchedPlatform({ dataDir: tempFolder(), port });
    assert.equal(await start.exited, 1);
    assert.match(start.output, new RegExp(`Port ${port} is taken`));
    assert.match(start.output, new RegExp(`PORT=${port + 1} npm start`));
    assert.doesNotMatch(start.output, /servers/);
    stranger.close();
  });

  it("reports every wrong setting at once", async () => {
    const environment = { LOG_LEVEL: "loud", CURRENCY: "money" };
    const start = new LaunchedPlatform({ dataDir: tempFolder(), environment });
    assert.equal(await start.exited, 2);
    assert.match(start.output, /LOG_LEVEL/);
    assert.match(start.output, /CURRENCY/);
  });
});
