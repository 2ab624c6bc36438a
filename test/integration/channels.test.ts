import assert from "node:assert/strict";
import { createChannels } from "../../mixins/channels/channels.ts";
import { sql } from "../../mixins/database/database.ts";
import { PlatformError } from "../../services/contracts/errors.ts";
import {
  type ChannelBench,
  channelBench,
  FAST_LIMITS,
  ignoring,
  range,
  recordEffects,
  recordingPaid,
} from "../support/channels.ts";
import { silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

const WAIT_MS = 10_000;
const BROKEN_EVENT = sql(
  "test.insert",
  `INSERT INTO outbox (name, aggregate_id, aggregate_version, payload)
   VALUES ('order.paid.v1', 1, 1, '{}')`,
);
const OUTBOX_IDS = sql("test.outbox-ids", "SELECT id FROM outbox ORDER BY id");

describe("durable messages", () => {
  let bench: ChannelBench;

  beforeEach(async () => {
    bench = await channelBench();
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

  const outboxIds = async (): Promise<string[]> =>
    (await bench.orders.rows<{ id: string }>(OUTBOX_IDS)).map((row) => row.id);

  it("carries every committed event from the outbox to its consumer, once", async () => {
    await bench.startRelay();
    await bench.startConsumers(recordingPaid);
    for (const batch of range(0, 20)) await bench.pay(range(1 + batch * 50, 50));
    await effectsReach(1_000);
    assert.deepEqual(await bench.effects(), { total: 1_000, orders: 1_000 });
    await eventually(async () => (await bench.unpublished()) === 0, {
      timeoutMs: WAIT_MS,
      what: "the outbox is drained",
    });
  });

  it("publishes nothing of a transaction that was rolled back", async () => {
    await bench.startRelay();
    await bench.startConsumers(recordingPaid);
    const refused = new Error("refused");
    const work = bench.orders.transaction("test.refused", async (tx) => {
      await tx.run(BROKEN_EVENT);
      throw refused;
    });
    await assert.rejects(work, refused);
    await bench.pay([5]);
    await effectsReach(1);
    assert.deepEqual(await bench.effects(), { total: 1, orders: 1 });
  });

  it("publishes on the hint of another process without waiting for its poll", async () => {
    const relay = await bench.startRelay({
      limits: {
        ...FAST_LIMITS,
        relay: { ...FAST_LIMITS.relay, pollMinMs: 60_000, pollMaxMs: 60_000 },
      },
    });
    await bench.startConsumers(recordingPaid);
    const writer = bench.openBus();
    const writerIsConnected = new Promise<void>((resolve) => {
      writer.onConnected(resolve);
    });
    await writerIsConnected;
    await eventually(() => relay.stats().relay.isLeader, { timeoutMs: WAIT_MS, what: "it leads" });
    await bench.pay([1]);
    await eventually(
      async () => {
        writer.hintOutbox("order");
        return (await bench.effects()).total === 1;
      },
      { timeoutMs: 5_000, what: "the event is applied" },
    );
  });

  it("has one effect when events are published again and again", async () => {
    const relay = await bench.startRelay();
    const consumers = await bench.startConsumers(recordingPaid);
    await bench.pay(range(1, 300));
    await effectsReach(300);
    const ids = await outboxIds();
    for (const round of [1, 2]) {
      await eventually(async () => (await bench.unpublished()) === 0, {
        timeoutMs: WAIT_MS,
        what: "the outbox is drained",
      });
      assert.equal(await relay.republish(ids), 300);
      await eventually(() => duplicatesOf(consumers) === round * 300, {
        timeoutMs: WAIT_MS,
        what: `every event came ${round + 1} times`,
      });
    }
    assert.deepEqual(await bench.effects(), { total: 300, orders: 300 });
  });

  it("has one effect when the delivery comes again after the commit", async () => {
    await bench.startRelay();
    let interruptions = 0;
    const consumers = await bench.startConsumers(recordingPaid, {
      failpoint: (name) => {
        if (name !== "consumer.committed" || interruptions >= 5) return;
        interruptions += 1;
        throw new Error("interrupted between commit and acknowledgement");
      },
    });
    await bench.pay(range(1, 40));
    await eventually(() => interruptions === 5 && duplicatesOf(consumers) >= 4, {
      timeoutMs: WAIT_MS,
      what: "deliveries were repeated",
    });
    await effectsReach(40);
    assert.deepEqual(await bench.effects(), { total: 40, orders: 40 });
  });

  it("lets one relay lead and another take over when it stops", async () => {
    const [first, second] = [await bench.startRelay(), await bench.startRelay()];
    await bench.startConsumers(recordingPaid);
    const leaders = (): number =>
      [first, second].filter((relay) => relay.stats().relay.isLeader).length;
    await eventually(() => leaders() === 1, { timeoutMs: WAIT_MS, what: "one relay leads" });
    const writer = bench.openBus();
    for (const round of range(0, 20)) {
      await bench.pay(range(1 + round * 5, 5));
      writer.hintOutbox("order");
      await effectsReach(5 + round * 5);
    }
    assert.equal(leaders(), 1);
    const published = [first, second].map((relay) => relay.stats().relay.published);
    assert.deepEqual(
      published.toSorted((a, b) => a - b),
      [0, 100],
    );

    const [leader, other] = first.stats().relay.isLeader ? [first, second] : [second, first];
    await leader.stop();
    await bench.pay(range(101, 100));
    await effectsReach(200);
    assert.equal(other.stats().relay.published, 100);
    assert.deepEqual(await bench.effects(), { total: 200, orders: 200 });
  });

  it("does not take a server that is away for a poison event", async () => {
    await bench.startRelay();
    let refusals = 12;
    const consumers = await bench.startConsumers({
      event: "order.paid.v1",
      apply(tx, events) {
        refusals -= 1;
        if (refusals >= 0) throw new PlatformError("SERVICE_UNAVAILABLE");
        return recordEffects(tx, events);
      },
    });
    await bench.pay(range(1, 10));
    await effectsReach(10);
    assert.deepEqual(await bench.effects(), { total: 10, orders: 10 });
    assert.equal(consumers.stats().consumers[0]?.deadLettered, 0);
  });

  it("finishes the batch in work when it stops and leaves the rest to others", async () => {
    await bench.startRelay();
    const gate = Promise.withResolvers<undefined>();
    let isEntered = false;
    const first = await bench.startConsumers({
      event: "order.paid.v1",
      async apply(tx, events) {
        isEntered = true;
        await gate.promise;
        await recordEffects(tx, events);
      },
    });
    await bench.pay(range(1, 20));
    await eventually(() => isEntered, { timeoutMs: WAIT_MS, what: "a batch is in work" });
    const stopped = first.stop();
    gate.resolve(undefined);
    await stopped;
    const atStop = await bench.effects();
    assert.equal(atStop.total > 0, true);
    await bench.startConsumers(recordingPaid);
    await bench.pay(range(21, 20));
    await effectsReach(40);
    assert.deepEqual(await bench.effects(), { total: 40, orders: 40 });
  });

  it("shares the events of one consumer between nodes", async () => {
    await bench.startRelay();
    const nodes = [
      await bench.startConsumers(recordingPaid),
      await bench.startConsumers(recordingPaid),
    ];
    for (const batch of range(0, 10)) await bench.pay(range(1 + batch * 50, 50));
    await effectsReach(500);
    assert.deepEqual(await bench.effects(), { total: 500, orders: 500 });
    assert.equal(
      nodes.reduce((sum, node) => sum + appliedOf(node), 0),
      500,
    );
  });

  it("works on as many batches at once as its consumer allows, each event once", async () => {
    await bench.startRelay();
    const met = Promise.withResolvers<undefined>();
    let inWork = 0;
    let inWorkMax = 0;
    await bench.startConsumers({
      ...recordingPaid,
      batchSizeMax: 1,
      lanes: 2,
      async apply(tx, events) {
        inWork += 1;
        inWorkMax = Math.max(inWorkMax, inWork);
        if (inWork === 2) met.resolve(undefined);
        await met.promise;
        await recordingPaid.apply(tx, events).finally(() => (inWork -= 1));
      },
    });
    await bench.pay(range(1, 40));
    await effectsReach(40);
    assert.deepEqual(await bench.effects(), { total: 40, orders: 40 });
    assert.equal(inWorkMax, 2);
  });

  it("refuses to start with consumers other than the catalogue's", () => {
    const options = {
      owner: "inventory" as const,
      database: bench.inventory,
      bus: bench.openBus(),
      nodeId: "x",
      log: silentLog,
    };
    assert.throws(
      () => createChannels({ ...options, consumers: [ignoring("order.paid.v1")] }),
      /inventory consumes \[order\.paid\.v1\], catalogued are/,
    );
  });
});

type Stats = { stats(): { consumers: readonly { applied: number; duplicates: number }[] } };

function duplicatesOf(channels: Stats): number {
  return channels.stats().consumers.reduce((sum, one) => sum + one.duplicates, 0);
}

function appliedOf(channels: Stats): number {
  return channels.stats().consumers.reduce((sum, one) => sum + one.applied, 0);
}
