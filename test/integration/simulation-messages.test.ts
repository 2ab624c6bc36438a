// Holds the message server that the simulation makes in memory to a real JetStream: the same publishing,
// pulling and settling must be answered with the same deliveries.
import assert from "node:assert/strict";
import { headers } from "nats";
import type { ConsumerBus } from "../../mixins/channels/consumer-runner.ts";
import type { EventMessage } from "../../mixins/channels/envelope.ts";
import type { EventBus } from "../../mixins/channels/jetstream.ts";
import type { StreamMessage } from "../../mixins/channels/stream-message.ts";
import { subscriptionOf } from "../../mixins/channels/topology.ts";
import type { RelayBus } from "../../mixins/outbox/outbox-relay.ts";
import { fixedFaults } from "../simulation/kernel/fault-plan.ts";
import { Process, Simulation } from "../simulation/kernel/simulation.ts";
import { World } from "../simulation/world/world.ts";
import { type ChannelBench, channelBench } from "../support/channels.ts";
import { eventually } from "../support/eventually.ts";

const EVENT = "order.paid.v1";
const CONSUMER = "inventory";
const PULLED_MAX = 32;

type Bus = RelayBus & ConsumerBus;
type Pull = ReturnType<Bus["pull"]>;

/** What a script asks; it tells which deliveries came. */
interface Script {
  readonly name: string;
  readonly run: (client: Client) => Promise<void>;
}

/** One consumer's view, with all that happened to it. */
class Client {
  readonly told: string[] = [];
  readonly #bus: Bus;
  readonly #prefix: string;

  constructor(bus: Bus, prefix: string) {
    this.#bus = bus;
    this.#prefix = prefix;
  }

  open(): Pull {
    return this.#bus.pull(subscriptionOf(this.#bus.namespace, EVENT, CONSUMER));
  }

  /** @param id the message's id, which may have been published before. */
  async publish(text: string, id = text): Promise<void> {
    const fields = headers();
    fields.set("Nats-Msg-Id", `${this.#prefix}.${id}`);
    const message: EventMessage = { name: EVENT, data: text, headers: fields };
    await this.#bus.publish(message);
  }

  /** Pulls until `count` deliveries have come, and tells them in their order. */
  async take(pull: Pull, count: number, batch = PULLED_MAX): Promise<readonly StreamMessage[]> {
    const taken: StreamMessage[] = [];
    while (taken.length < count) {
      const { messages } = await pull.next(Math.min(batch, count - taken.length));
      taken.push(...messages);
    }
    this.told.push(taken.map((one) => `${one.text()}#${one.deliveryCount}`).join(" "));
    return taken;
  }
}

const SCRIPTS: readonly Script[] = [
  {
    name: "delivers in the order of publishing, and a message id once",
    async run(client) {
      const pull = client.open();
      for (const [text, id] of [["a"], ["b"], ["b again", "b"], ["c"], ["a again", "a"], ["d"]]) {
        await client.publish(text!, id);
      }
      for (const one of await client.take(pull, 4)) one.ack();
      await client.publish("e");
      for (const one of await client.take(pull, 1)) one.ack();
      pull.stop();
    },
  },
  {
    name: "delivers what was refused again, and counts it",
    async run(client) {
      const pull = client.open();
      await client.publish("a");
      await client.publish("b");
      const [first, second] = await client.take(pull, 2);
      second!.ack();
      first!.nak();
      const [again] = await client.take(pull, 1);
      again!.nak();
      const [last] = await client.take(pull, 1);
      last!.ack();
      await client.publish("c");
      for (const one of await client.take(pull, 1)) one.ack();
      pull.stop();
    },
  },
  {
    name: "delivers later what was refused for a while",
    async run(client) {
      const pull = client.open();
      await client.publish("a");
      const [first] = await client.take(pull, 1);
      first!.nak(300);
      await client.publish("b");
      for (const one of await client.take(pull, 2, 1)) one.ack();
      pull.stop();
    },
  },
  {
    name: "delivers again what nobody settled in time, and only that",
    async run(client) {
      const pull = client.open();
      await client.publish("a");
      await client.publish("b");
      const [, second] = await client.take(pull, 2);
      second!.ack();
      for (const one of await client.take(pull, 1)) one.ack();
      await client.publish("c");
      for (const one of await client.take(pull, 1)) one.ack();
      pull.stop();
    },
  },
  {
    name: "never delivers again what was ended or settled, whatever is said of it later",
    async run(client) {
      const pull = client.open();
      await client.publish("a");
      await client.publish("b");
      const [first, second] = await client.take(pull, 2);
      first!.term();
      second!.ack();
      second!.nak();
      await client.publish("c");
      for (const one of await client.take(pull, 1)) one.ack();
      pull.stop();
    },
  },
  {
    name: "listens to the first of two words about a delivery",
    async run(client) {
      const pull = client.open();
      await client.publish("a");
      const [first] = await client.take(pull, 1);
      first!.nak();
      first!.ack();
      for (const one of await client.take(pull, 1)) one.ack();
      pull.stop();
    },
  },
  {
    name: "gives no more at once than was asked for",
    async run(client) {
      const pull = client.open();
      for (const text of ["a", "b", "c", "d", "e"]) await client.publish(text);
      for (const count of [2, 1, 2]) {
        for (const one of await client.take(pull, count)) one.ack();
      }
      pull.stop();
    },
  },
  {
    name: "leaves to others what came to somebody who stopped",
    async run(client) {
      const gone = client.open();
      await client.publish("a");
      await client.take(gone, 1);
      gone.stop();
      const pull = client.open();
      for (const one of await client.take(pull, 1)) one.ack();
      pull.stop();
    },
  },
];

async function told(bus: Bus, { run }: Script, prefix: string): Promise<readonly string[]> {
  const client = new Client(bus, prefix);
  await run(client);
  return client.told;
}

describe("the simulated message server", function () {
  this.timeout(60_000);
  let bench: ChannelBench;
  let bus: EventBus;

  before(async () => {
    bench = await channelBench();
    bus = bench.openBus();
    await eventually(() => bus.ping().then(() => true), {
      timeoutMs: 10_000,
      what: "the message server answers",
    });
    await bus.ensureStream("order");
  });
  after(() => bench.drop());

  for (const [index, script] of SCRIPTS.entries()) {
    it(script.name, async () => {
      const real = await told(bus, script, `script-${index}`);
      const simulation = new Simulation(index);
      const { messages } = new World(simulation, fixedFaults([]));
      const process = new Process("node");
      const simulated = await simulation.drive(
        simulation.as(process, () => told(messages.connect(process), script, `script-${index}`)),
      );
      assert.deepEqual(simulated, real);
    });
  }
});
