import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "../../mixins/database/database.ts";
import {
  type RunningServers,
  type ServerProcess,
  startServers,
} from "../../scripts/launcher/servers.ts";
import type { ChannelNodeTask } from "../support/channel-node.ts";
import { type ChannelBench, channelBench, range, recordingPaid } from "../support/channels.ts";
import { eventually } from "../support/eventually.ts";
import { testServers } from "../support/servers.ts";

const WAIT_MS = 20_000;
const NODE_FILE = join(import.meta.dirname, "../support/channel-node.ts");
const OUTBOX_IDS = sql("test.outbox-ids", "SELECT id FROM outbox ORDER BY id");

describe("durable messages when things die", function () {
  this.timeout(60_000);
  let servers: RunningServers;
  let dataDir: string;
  let nats: ServerProcess;
  let bench: ChannelBench;

  before(async () => {
    const { mysqlUrl, redisUrl } = await testServers();
    dataDir = mkdtempSync(join(tmpdir(), "flash-sale-nats-"));
    servers = await startServers({ dataDir, given: { mysql: mysqlUrl, redis: redisUrl } });
    nats = servers.processes.nats!;
  });
  after(async () => {
    await servers.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    bench = await channelBench(servers.natsUrl);
  });
  afterEach(async () => {
    await bench.drop();
  });

  const effectsReach = async (count: number): Promise<void> => {
    await eventually(async () => (await bench.effects()).orders >= count, {
      timeoutMs: WAIT_MS,
      what: `${count} events have had their effect`,
    });
  };

  const outboxDrains = async (): Promise<void> => {
    await eventually(async () => (await bench.unpublished()) === 0, {
      timeoutMs: WAIT_MS,
      what: "the outbox is drained",
    });
  };

  /** Resolves with the signal that ended the node. */
  const runDoomedNode = async (task: Pick<ChannelNodeTask, "role" | "dieAt">): Promise<unknown> => {
    const { settings, natsUrl } = bench;
    const child = spawn(
      process.execPath,
      [NODE_FILE, JSON.stringify({ ...task, settings, natsUrl })],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const [, signal] = (await once(child, "exit")) as [unknown, unknown];
    return signal;
  };

  it("has one effect when the consumer is killed between its commit and its acknowledgements", async () => {
    await bench.startRelay();
    await bench.pay(range(1, 60));
    const task = { role: "consumer", dieAt: "consumer.committed" } as const;
    assert.equal(await runDoomedNode(task), "SIGKILL");
    const committed = (await bench.effects()).total;
    assert.equal(committed > 0, true);
    const survivor = await bench.startConsumers(recordingPaid);
    await eventually(() => (survivor.stats().consumers[0]?.duplicates ?? 0) >= committed, {
      timeoutMs: WAIT_MS,
      what: "what the killed node had committed is delivered again",
    });
    await effectsReach(60);
    assert.deepEqual(await bench.effects(), { total: 60, orders: 60 });
  });

  it("publishes everything when the relay is killed after publishing and before marking", async () => {
    await bench.pay(range(1, 60));
    const task = { role: "relay", dieAt: "outbox.published" } as const;
    assert.equal(await runDoomedNode(task), "SIGKILL");
    assert.equal(await bench.unpublished(), 60);
    await bench.startConsumers(recordingPaid);
    await bench.startRelay();
    await effectsReach(60);
    await outboxDrains();
    assert.deepEqual(await bench.effects(), { total: 60, orders: 60 });
  });

  it("loses and repeats nothing when the message server is killed in mid-stream", async () => {
    await bench.startRelay();
    await bench.startConsumers(recordingPaid);
    await bench.pay(range(1, 200));
    await eventually(async () => (await bench.effects()).total > 0, {
      timeoutMs: WAIT_MS,
      what: "events flow",
    });
    await nats.kill("SIGKILL");
    await bench.pay(range(201, 200));
    await nats.restart();
    await bench.pay(range(401, 200));
    await effectsReach(600);
    await outboxDrains();
    assert.deepEqual(await bench.effects(), { total: 600, orders: 600 });
  });

  it("heals a wiped message store by republishing what has no receipt", async () => {
    const relay = await bench.startRelay();
    const consumers = await bench.startConsumers(recordingPaid);
    await bench.pay(range(1, 50));
    await effectsReach(50);
    await outboxDrains();
    await consumers.stop();
    await bench.pay(range(51, 100));
    await outboxDrains();

    await nats.kill("SIGKILL");
    const storeDir = join(dataDir, "nats");
    const entries = readdirSync(storeDir);
    assert.deepEqual(entries, ["jetstream"]);
    rmSync(join(storeDir, "jetstream"), { recursive: true });
    await nats.restart();

    const again = await bench.startConsumers(recordingPaid);
    const ids = (await bench.orders.rows<{ id: string }>(OUTBOX_IDS)).map((row) => row.id);
    assert.equal(ids.length, 150);
    await eventually(async () => (await relay.republish(ids)) >= 0, {
      timeoutMs: WAIT_MS,
      what: "the relay takes the republish",
    });
    await effectsReach(150);
    assert.deepEqual(await bench.effects(), { total: 150, orders: 150 });
    assert.equal(again.stats().consumers[0]?.applied, 100);
  });

  it("recreates streams and consumers that somebody deleted under running nodes", async () => {
    await bench.startRelay();
    await bench.startConsumers(recordingPaid);
    await bench.pay([1]);
    await effectsReach(1);
    await bench.deleteStreams();
    await eventually(
      async () => {
        const { total } = await bench.effects();
        if (total < 20) await bench.pay([total + 1_000]);
        return total >= 20;
      },
      { timeoutMs: WAIT_MS, what: "events flow again" },
    );
  });
});
