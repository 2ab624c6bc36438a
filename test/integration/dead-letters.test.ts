import assert from "node:assert/strict";
import { connect } from "nats";
import { ServiceBroker } from "moleculer";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { consumer, type EventConsumer } from "../../mixins/channels/channel.ts";
import { sql } from "../../mixins/database/database.ts";
import { TypeBoxValidator } from "../../mixins/validation/validator.ts";
import { call } from "../../services/contracts/actions.ts";
import { errorSlug } from "../../services/contracts/errors.ts";
import {
  type ChannelBench,
  channelBench,
  consumersOf,
  FAST_LIMITS,
  paidPayload,
  range,
  recordEffects,
} from "../support/channels.ts";
import { silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

const WAIT_MS = 10_000;
const POISON_ORDER = "13";
const LETTERS = sql(
  "test.letters",
  `SELECT id, event_id AS eventId, event_name AS eventName, payload, error, tries, status
     FROM dead_letters ORDER BY id`,
);
const RECEIPTS = sql("test.receipts", "SELECT event_id AS eventId FROM inbox ORDER BY event_id");
const OUTBOX_IDS = sql("test.outbox-ids", "SELECT id FROM outbox ORDER BY id");

interface Letter {
  readonly id: string;
  readonly eventId: string;
  readonly eventName: string;
  readonly payload: string;
  readonly error: string;
  readonly tries: number;
  readonly status: string;
}

describe("dead letters", () => {
  let bench: ChannelBench;
  let broker: ServiceBroker;
  let isPoisonous: boolean;

  /** Fails on one order as long as it is poisonous. */
  const paid: EventConsumer<"order.paid.v1"> = {
    event: "order.paid.v1",
    async apply(tx, events) {
      await recordEffects(tx, events);
      if (isPoisonous && events.some((event) => event.payload.order_id === POISON_ORDER)) {
        throw new Error("this order cannot be applied");
      }
    },
  };

  beforeEach(async () => {
    isPoisonous = true;
    bench = await channelBench();
    broker = new ServiceBroker({ logger: false, validator: new TypeBoxValidator({}) });
    broker.createService({
      name: "inventory-worker",
      mixins: [
        channelsMixin({
          owner: "inventory",
          database: bench.inventory,
          bus: bench.openBus(),
          consumers: consumersOf("inventory", consumer(paid)),
          nodeId: "worker",
          log: silentLog,
          limits: FAST_LIMITS,
        }),
      ],
    });
    await broker.start();
  });
  afterEach(async () => {
    await broker.stop();
    await bench.drop();
  });

  const letters = (): Promise<Letter[]> => bench.inventory.rows<Letter>(LETTERS);

  const firstLetter = async (): Promise<Letter> =>
    await eventually(async () => (await letters())[0], {
      timeoutMs: WAIT_MS,
      what: "there is a dead letter",
    });

  const effectsReach = async (count: number): Promise<void> => {
    await eventually(async () => (await bench.effects()).orders >= count, {
      timeoutMs: WAIT_MS,
      what: `${count} events have had their effect`,
    });
  };

  const slugOf = async (promise: Promise<unknown>): Promise<string | undefined> =>
    await promise.then(
      () => "no error",
      (error: unknown) => errorSlug(error) ?? String(error),
    );

  it("keeps a poison event after eight tries and holds no other event up", async () => {
    await bench.startRelay();
    await bench.pay(range(1, 30));
    const letter = await firstLetter();
    assert.equal(letter.tries, 8);
    assert.equal(letter.status, "open");
    assert.equal(letter.eventName, "order.paid.v1");
    assert.match(letter.error, /this order cannot be applied/);
    assert.deepEqual(JSON.parse(letter.payload), {
      ...(JSON.parse(letter.payload) as object),
      event_id: letter.eventId,
      payload: paidPayload(Number(POISON_ORDER)),
    });
    await effectsReach(29);
    assert.deepEqual(await bench.effects(), { total: 29, orders: 29 });
    assert.equal((await letters()).length, 1);
  });

  it("applies a replayed event once and answers the same when asked again", async () => {
    await bench.startRelay();
    await bench.pay([1, Number(POISON_ORDER)]);
    const { id } = await firstLetter();
    await assert.rejects(
      call(broker, "inventory-worker.replayDeadLetter", { id }),
      /cannot be applied/,
    );
    assert.deepEqual(
      (await letters()).map(({ status, tries }) => ({ status, tries })),
      [{ status: "open", tries: 9 }],
    );
    isPoisonous = false;
    await call(broker, "inventory-worker.replayDeadLetter", { id });
    await call(broker, "inventory-worker.replayDeadLetter", { id });
    assert.deepEqual(await bench.effects(), { total: 2, orders: 2 });
    assert.equal((await letters())[0]?.status, "replayed");
    const discard = call(broker, "inventory-worker.discardDeadLetter", { id });
    assert.equal(await slugOf(discard), "DEAD_LETTER_CLOSED");
  });

  it("applies an event once when it is replayed and redelivered at the same time", async () => {
    const relay = await bench.startRelay();
    await bench.pay([Number(POISON_ORDER)]);
    const { id } = await firstLetter();
    isPoisonous = false;
    const ids = (await bench.orders.rows<{ id: string }>(OUTBOX_IDS)).map((row) => row.id);
    await eventually(async () => (await relay.republish(ids)) === 1, {
      timeoutMs: WAIT_MS,
      what: "the event is published again",
    });
    await call(broker, "inventory-worker.replayDeadLetter", { id });
    await eventually(async () => (await bench.unpublished()) === 0, {
      timeoutMs: WAIT_MS,
      what: "the outbox is drained",
    });
    await bench.pay([14]);
    await effectsReach(2);
    assert.deepEqual(await bench.effects(), { total: 2, orders: 2 });
  });

  it("closes a dead letter whose event is delivered again and can be applied", async () => {
    const relay = await bench.startRelay();
    await bench.pay([Number(POISON_ORDER)]);
    await firstLetter();
    isPoisonous = false;
    const ids = (await bench.orders.rows<{ id: string }>(OUTBOX_IDS)).map((row) => row.id);
    await eventually(async () => (await relay.republish(ids)) === 1, {
      timeoutMs: WAIT_MS,
      what: "the event is published again",
    });
    await effectsReach(1);
    assert.equal((await letters())[0]?.status, "replayed");
  });

  it("ignores a discarded event when it comes again", async () => {
    const relay = await bench.startRelay();
    await bench.pay([Number(POISON_ORDER)]);
    const { id, eventId } = await firstLetter();
    await call(broker, "inventory-worker.discardDeadLetter", { id });
    await call(broker, "inventory-worker.discardDeadLetter", { id });
    assert.deepEqual(await bench.inventory.rows(RECEIPTS), [{ eventId }]);
    isPoisonous = false;
    const ids = (await bench.orders.rows<{ id: string }>(OUTBOX_IDS)).map((row) => row.id);
    await eventually(async () => (await relay.republish(ids)) === 1, {
      timeoutMs: WAIT_MS,
      what: "the event is published again",
    });
    await bench.pay([14]);
    await effectsReach(1);
    assert.deepEqual(await bench.effects(), { total: 1, orders: 1 });
    const replay = call(broker, "inventory-worker.replayDeadLetter", { id });
    assert.equal(await slugOf(replay), "DEAD_LETTER_CLOSED");
  });

  it("says that there is no such dead letter", async () => {
    const replay = call(broker, "inventory-worker.replayDeadLetter", { id: "404" });
    assert.equal(await slugOf(replay), "DEAD_LETTER_NOT_FOUND");
    const discard = call(broker, "inventory-worker.discardDeadLetter", { id: "404" });
    assert.equal(await slugOf(discard), "DEAD_LETTER_NOT_FOUND");
  });

  it("makes a message that is not as catalogued a dead letter at once", async () => {
    await bench.startRelay();
    await bench.pay([1]);
    await effectsReach(1);
    const { host, username, password } = new URL(bench.natsUrl);
    const foreign = await connect({ servers: host, user: username, pass: password });
    const stream = foreign.jetstream();
    await stream.publish(`${bench.namespace}.events.order.paid.v1`, "{nonsense", {
      msgID: "order.77",
    });
    await stream.publish(
      `${bench.namespace}.events.order.paid.v1`,
      JSON.stringify({ order_id: "1" }),
    );
    await foreign.close();
    await bench.pay([2]);
    await effectsReach(2);
    await eventually(async () => (await letters()).length === 2, {
      timeoutMs: WAIT_MS,
      what: "both are dead letters",
    });
    const [first, second] = await letters();
    assert.equal(first?.eventId, "order.77");
    assert.equal(first.error, "the message is not JSON");
    assert.match(second?.error ?? "", /^the envelope is not as catalogued/);
    assert.equal(second?.tries, 1);
    const replay = call(broker, "inventory-worker.replayDeadLetter", { id: first.id });
    assert.equal(await slugOf(replay), "VALIDATION_FAILED");
  });
});
