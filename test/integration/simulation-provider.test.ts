// Holds the payment provider that the simulation makes in memory to the mock provider behind its real channel:
// the same charges, payments, ends and refunds must be answered with the same states and callbacks.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "../../mixins/database/database.ts";
import type {
  CallbackRequest,
  Channel,
  Charge,
  ChargeState,
} from "../../services/payment/channels/channel.ts";
import { fixedFaults } from "../simulation/kernel/fault-plan.ts";
import { Process, Simulation } from "../simulation/kernel/simulation.ts";
import { World } from "../simulation/world/world.ts";
import { newId, PaymentRig } from "../support/payment.ts";

const PAUSE_MS = 50;
const PAUSES_MAX = 200;
const GIVEN = sql(
  "test.given-back",
  "SELECT COALESCE(SUM(amount), 0) AS given FROM charge_refunds WHERE payment_id = ?",
);

/** The provider beside its channel. */
interface Side {
  readonly channel: Channel;
  /** The buyer pays. */
  pay(charge: Charge): Promise<unknown>;
  /** Minor units that the provider has given back. */
  given(paymentId: string): Promise<number>;
  pause(ms: number): Promise<void>;
  /** Who takes callbacks from now on; false refuses one. */
  onCallback(take: (request: CallbackRequest) => boolean): void;
}

/** One shop's view, with all that it was told; charges go by the letters of the script. */
class Client {
  readonly told: unknown[] = [];
  readonly #side: Side;
  readonly #charges = new Map<string, Charge>();

  constructor(side: Side) {
    this.#side = side;
  }

  /** The charge of this letter: the same id every time. */
  charge(letter: string, amount = 100): Charge {
    const known = this.#charges.get(letter);
    const paymentId = known?.paymentId ?? newId();
    const expiresAt = new Date(Date.now() + 60_000);
    const charge = { paymentId, orderId: newId(), amount, currency: "CNY", expiresAt };
    this.#charges.set(letter, known ?? charge);
    return charge;
  }

  async register(...charges: readonly Charge[]): Promise<void> {
    this.told.push(await this.#side.channel.register(charges));
  }

  async close(...letters: readonly string[]): Promise<void> {
    this.#tell(await this.#side.channel.close(this.#idsOf(letters)));
  }

  async query(...letters: readonly string[]): Promise<void> {
    this.#tell(await this.#side.channel.query(this.#idsOf(letters)));
  }

  async pay(letter: string): Promise<void> {
    await this.#side.pay(this.charge(letter));
  }

  async refund(letter: string, refundId: string, amount: number): Promise<void> {
    const { paymentId, amount: total } = this.charge(letter);
    const order = { refundId, paymentId, amount, total, currency: "CNY", reason: "test" };
    await this.#side.channel.refund(order);
    this.told.push(await this.#side.given(paymentId));
  }

  /** Tells what callbacks say of a payment until one is taken, after `refusals` that were not. */
  async callbacksOf(letter: string, refusals: number): Promise<void> {
    const { channel } = this.#side;
    const asked: CallbackRequest[] = [];
    const { paymentId } = this.charge(letter);
    this.#side.onCallback((request) => {
      // Those of other scripts are heard.
      if (channel.verify(request)?.paymentId !== paymentId) return true;
      return asked.push(request) > refusals;
    });
    await this.pay(letter);
    for (let pauses = 0; asked.length <= refusals && pauses < PAUSES_MAX; pauses += 1) {
      await this.#side.pause(PAUSE_MS);
    }
    const said = asked.map((request) => channel.verify(request));
    const [state] = await channel.query(this.#idsOf([letter]));
    const ids = new Set(said.map((one) => one?.webhookId));
    this.told.push({ tries: asked.length > refusals, ids: ids.size });
    for (const one of said.slice(0, 1)) {
      const isOfState = one?.providerRef === state?.providerRef;
      this.told.push([this.#letterOf(one?.paymentId), one?.outcome, one?.amount, isOfState]);
    }
  }

  #idsOf(letters: readonly string[]): readonly string[] {
    return letters.map((letter) => this.charge(letter).paymentId);
  }

  #letterOf(paymentId = ""): string {
    const found = [...this.#charges].find(([, charge]) => charge.paymentId === paymentId);
    return found?.[0] ?? `nobody's ${paymentId}`;
  }

  #tell(states: readonly ChargeState[]): void {
    const words = states.map(({ paymentId, status, amount, providerRef }) =>
      [
        this.#letterOf(paymentId),
        status,
        amount,
        providerRef === "" ? "" : "with a reference",
      ].join(" "),
    );
    this.told.push(words);
  }
}

interface Script {
  readonly name: string;
  readonly run: (client: Client) => Promise<void>;
  /** What the script tells last, so that both cannot be wrong in the same way. */
  readonly ends: unknown;
}

const SCRIPTS: readonly Script[] = [
  {
    name: "opens a charge, however often it is registered",
    async run(client) {
      await client.register(client.charge("a"), client.charge("b"));
      await client.register(client.charge("a"));
      await client.query("b", "a");
    },
    ends: ["b open 0 ", "a open 0 "],
  },
  {
    name: "calls open what it has never heard of: a registration may be on its way",
    run: (client) => client.query("a"),
    ends: ["a open 0 "],
  },
  {
    name: "closes a charge for good",
    async run(client) {
      await client.register(client.charge("a"));
      await client.close("a");
      await client.register(client.charge("a"));
      await client.close("a");
      await client.query("a");
    },
    ends: ["a closed 0 "],
  },
  {
    name: "closes what was not registered yet, and finds it closed afterwards",
    async run(client) {
      await client.close("a", "b");
      await client.register(client.charge("b"), client.charge("a"));
      await client.query("a", "b");
    },
    ends: ["a closed 0 ", "b closed 0 "],
  },
  {
    name: "says that a charge is captured when it is to be closed",
    async run(client) {
      await client.register(client.charge("a"), client.charge("b"));
      await client.pay("a");
      await client.close("b", "a");
      await client.query("a");
    },
    ends: ["a captured 100 with a reference"],
  },
  {
    name: "takes money that was on its way when the charge was closed",
    async run(client) {
      await client.register(client.charge("a"));
      await client.close("a");
      await client.pay("a");
      await client.close("a");
    },
    ends: ["a captured 100 with a reference"],
  },
  {
    name: "takes money once",
    async run(client) {
      await client.register(client.charge("a"));
      await client.pay("a");
      await client.pay("a");
      await client.query("a");
    },
    ends: ["a captured 100 with a reference"],
  },
  {
    name: "gives back once by the refund's id",
    async run(client) {
      const [first, second] = [newId(), newId()];
      await client.register(client.charge("a"));
      await client.pay("a");
      for (const [id, amount] of [[first, 40] as const, [first, 40] as const]) {
        await client.refund("a", id, amount);
      }
      await client.refund("a", second, 60);
    },
    ends: 100,
  },
  {
    name: "tells of a payment until it is heard, in the same words",
    async run(client) {
      await client.register(client.charge("a"));
      await client.callbacksOf("a", 2);
    },
    ends: ["a", "succeeded", 100, true],
  },
];

function realSide(rig: PaymentRig): Side {
  const channel = rig.channels().requireMock();
  return {
    channel,
    pay: (charge) => channel.simulate(charge, "succeeded"),
    async given(paymentId) {
      const row = await rig.provider.database.row<{ given: string }>(GIVEN, [paymentId]);
      return Number(row?.given);
    },
    pause: (ms) => delay(ms),
    onCallback(take) {
      rig.take = (_id, headers, rawBody) => Promise.resolve(take({ headers, rawBody }) ? 204 : 503);
    },
  };
}

function simulatedSide({ provider, simulation }: World): Side {
  let taken: (request: CallbackRequest) => boolean = () => true;
  return {
    channel: provider.channels().requireMock(),
    pay: ({ paymentId }) => {
      provider.capture(paymentId, (_id, request) => Promise.resolve(taken(request)));
      return Promise.resolve();
    },
    given: (paymentId) =>
      Promise.resolve(
        [...provider.refunds.values()]
          .filter((refund) => refund.paymentId === paymentId)
          .reduce((sum, { amount }) => sum + amount, 0),
      ),
    pause: (ms) => simulation.sleep(ms),
    onCallback(take) {
      taken = take;
    },
  };
}

async function told(side: Side, { run }: Script): Promise<readonly unknown[]> {
  const client = new Client(side);
  await run(client);
  return client.told;
}

describe("the simulated payment provider", function () {
  this.timeout(60_000);
  let rig: PaymentRig;

  before(async () => {
    rig = await PaymentRig.start();
  });
  after(() => rig.stop());

  for (const [index, script] of SCRIPTS.entries()) {
    it(script.name, async () => {
      const real = await told(realSide(rig), script);
      const simulation = new Simulation(index);
      const world = new World(simulation, fixedFaults([]));
      const simulated = await simulation.drive(
        simulation.as(new Process("node"), () => told(simulatedSide(world), script)),
      );
      assert.deepEqual(simulated, real);
      assert.deepEqual(real.at(-1), script.ends);
    });
  }
});
