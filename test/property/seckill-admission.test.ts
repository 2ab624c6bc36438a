// Random lives of one sale with everything that admits to it - two nodes, gate, database, coordinator, reaper,
// give-backs - on a real Redis and a real MySQL, with faults between the steps: nodes and workers die or fail at
// their crash points, the gate is emptied, left and loaded again, the way to it is cut. The model is what the
// buyers were told. PROPERTY_SEED and PROPERTY_PATH repeat a run.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { SECKILL_FAILPOINTS as SPOTS } from "../../services/seckill/failpoints.ts";
import { AdmissionWorld, type Attempt, NODES, type Told } from "../support/admission-world.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type FaultyLink, faultyLink } from "../support/faulty-link.ts";
import { type GateBench, newId, openGate } from "../support/gate.ts";
import type { Fate } from "../support/mortal.ts";
import { testServers } from "../support/servers.ts";

const RUNS = 25;
const COMMANDS_MAX = 24;
const USERS = 9;
const REQUESTS = 2;
const UNITS = 4;
const BATCH_MAX = 5;
/** No new life is begun after this; a failure is told as small as it is by then. */
const TIME_MAX_MS = 30_000;
/** A busy machine is not what is tried here: the way to the gate is cut where it shall fail. */
const COMMAND_TIMEOUT_MS = 3_000;
const READY_TIMEOUT_MS = 10_000;
/** Who is told to come back does so at most this often. */
const PATIENCE = 40;
/** A node may go on saying "sold out" for a second after a unit came back. */
const STALE_MS_MAX = 4_000;

/** What the buyers were told and have done: the witness of the life. */
class Model {
  readonly users = Array.from({ length: USERS }, () => newId());
  /** Orders by user that were promised and not given back. */
  readonly held = new Map<string, string>();
  readonly promised = new Map<string, string>();
  readonly givenBack = new Set<string>();

  /**
   * @param leaving gives its unit back at this moment, so that both answers are right.
   * @param holders who held a unit when the question was asked: of two questions of one buyer at the
   * same time, on two nodes, one may come too early.
   */
  hear(
    { userId, kind, orderId }: Told,
    leaving?: string,
    holders: Pick<ReadonlySet<string>, "has"> = this.held,
  ): void {
    if (kind === "sold_out") {
      const isHolder = holders.has(userId) && userId !== leaving;
      assert.ok(!isHolder, `user ${userId} holds a unit and was told that there is none`);
    }
    if (orderId === undefined || this.givenBack.has(orderId)) return;
    const known = this.held.get(userId);
    if (known !== undefined && userId !== leaving) assert.equal(orderId, known, "one per user");
    assert.ok((this.promised.get(orderId) ?? userId) === userId, "one user per order");
    this.held.set(userId, orderId);
    this.promised.set(orderId, userId);
  }

  leave(userId: string): void {
    this.givenBack.add(this.held.get(userId) ?? "");
    this.held.delete(userId);
  }
}

interface Real {
  readonly world: AdmissionWorld;
  readonly link: FaultyLink;
  readonly bench: GateBench;
}

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name };
}

type Buyers = readonly (readonly [user: number, request: number])[];

function attemptsOf({ users }: Model, buyers: Buyers): readonly Attempt[] {
  return buyers.map(([user, request]) => {
    const userId = users[user] ?? "";
    return { userId, requestId: `${userId}-${request}` };
  });
}

async function buy(model: Model, { world }: Real, node: number, buyers: Buyers): Promise<void> {
  for (const told of await world.buy(node, attemptsOf(model, buyers))) model.hear(told);
}

const nodes = fc.nat({ max: NODES - 1 });
const users = fc.nat({ max: USERS - 1 });
const buyers = fc.array(fc.tuple(users, fc.nat({ max: REQUESTS - 1 })), {
  minLength: 1,
  maxLength: BATCH_MAX,
});
const fates = fc.constantFrom<Fate>("dies", "fails");

const buying = fc
  .tuple(nodes, buyers)
  .map(([node, who]) =>
    command(`buy(${node}, ${JSON.stringify(who)})`, (model, real) => buy(model, real, node, who)),
  );

const cancelling = users.map((user) =>
  command(`cancel(${user})`, async (model, { world }) => {
    const userId = model.users[user] ?? "";
    const orderId = model.held.get(userId);
    if (orderId === undefined) return;
    await world.giveBack(userId, orderId);
    model.leave(userId);
  }),
);

const arming = fc
  .tuple(nodes, fc.constantFrom(SPOTS.admitAfterGate, SPOTS.admitAfterCommit), fates)
  .map(([node, spot, fate]) =>
    command(`arm(${node}, ${spot}, ${fate})`, (_, { world }) => {
      world.arm(node, spot, fate);
      return Promise.resolve();
    }),
  );

const armingWorker = fc
  .tuple(
    fc.constantFrom(SPOTS.loadAfterEpoch, SPOTS.loadAfterStock, SPOTS.giveBackAfterCommit),
    fates,
  )
  .map(([spot, fate]) =>
    command(`armWorker(${spot}, ${fate})`, (_, { world }) => {
      world.armWorker(spot, fate);
      return Promise.resolve();
    }),
  );

const coordinating = fc.constant(command("coordinate()", (_, { world }) => world.coordinate()));
const leavingGate = fc.constant(command("leaveGate()", (_, { world }) => world.leaveGate()));
const emptying = fc.constant(
  command("emptyGate()", (_, { world }) => world.emptyGate().catch(() => undefined)),
);
/** While the way is cut the clients of all nodes know it. */
async function cutDuring({ link, bench }: Real, work: () => Promise<void>): Promise<void> {
  const isReady = (): boolean => bench.redis.status === "ready";
  link.cut();
  try {
    await eventually(() => !isReady(), { timeoutMs: READY_TIMEOUT_MS, what: "the link is cut" });
    await work();
  } finally {
    link.mend();
    await eventually(isReady, { timeoutMs: READY_TIMEOUT_MS, what: "the link is mended" });
  }
}

const cutting = fc.constant(
  command("cut()", (_, real) => cutDuring(real, () => Promise.resolve())),
);
const buyingWhileCut = fc
  .tuple(nodes, buyers)
  .map(([node, who]) =>
    command(`buyWhileCut(${node}, ${JSON.stringify(who)})`, (model, real) =>
      cutDuring(real, () => buy(model, real, node, who)),
    ),
  );
const settling = fc.constant(command("settle()", (_, { world }) => world.settle()));

/** Both nodes sell while somebody leaves and the sale changes hands. */
const racing = fc.tuple(buyers, buyers, users).map(([one, other, user]) =>
  command(`race(${JSON.stringify([one, other, user])})`, async (model, { world }) => {
    const leaving = model.users[user] ?? "";
    const orderId = model.held.get(leaving);
    const holders = new Set(model.held.keys());
    const [first, second] = await Promise.all([
      world.buy(0, attemptsOf(model, one)),
      world.buy(1, attemptsOf(model, other)),
      orderId === undefined ? undefined : world.giveBack(leaving, orderId),
      world.leaveGate().then(() => world.coordinate()),
    ]);
    if (orderId !== undefined) model.leave(leaving);
    for (const told of [...first, ...second]) model.hear(told, leaving, holders);
  }),
);

const replayPath = process.env["PROPERTY_PATH"];
const commands = fc.commands(
  [
    buying,
    buying,
    buying,
    cancelling,
    cancelling,
    arming,
    armingWorker,
    coordinating,
    coordinating,
    leavingGate,
    emptying,
    cutting,
    buyingWhileCut,
    settling,
    racing,
  ],
  { maxCommands: COMMANDS_MAX, size: "max", ...(replayPath === undefined ? {} : { replayPath }) },
);

/** Everything at rest: rows, counters, gate and what the buyers were told agree. */
async function compare(model: Model, { world }: Real): Promise<void> {
  const [sale, rows, gate] = await Promise.all([
    world.sale(),
    world.admissions(),
    world.gateState(),
  ]);
  const live = rows.filter(({ state }) => state === "live");
  assert.equal(new Set(live.map(({ user_id: id }) => id)).size, live.length, "one per user");
  assert.equal(sale.admitted, live.length);
  assert.ok(live.length <= world.units, "oversold");
  const byOrder = new Map(rows.map((row) => [row.order_id, row]));
  for (const [orderId, userId] of model.promised) {
    const state = model.givenBack.has(orderId) ? "given_back" : "live";
    assert.deepEqual(byOrder.get(orderId), { order_id: orderId, user_id: userId, state });
  }
  assert.equal(sale.mode, "redis", "the sale is back in its gate");
  assert.deepEqual([gate?.stock, gate?.pending], [world.units - live.length, 0]);
}

/** What is left can be bought, unit by unit, and no more. */
async function sellOut(model: Model, { world }: Real): Promise<void> {
  const left = world.units - (await world.sale()).admitted;
  let bought = 0;
  for (let late = 0; late <= left; late += 1) {
    const attempt = { userId: newId(), requestId: "late" };
    for (let tries = 0; tries < PATIENCE; tries += 1) {
      const [told] = await world.buy(0, [attempt]);
      if (told === undefined || told.kind === "unknown") continue;
      if (told.kind === "sold_out" && bought < left && tries + 1 < PATIENCE) {
        await pause(STALE_MS_MAX / PATIENCE);
        continue;
      }
      model.hear(told);
      if (told.kind === "promised" || told.kind === "already") bought += 1;
      break;
    }
  }
  assert.equal(bought, left, "undersold");
}

describe("admission to a sale, whatever dies between two steps", function () {
  this.timeout(240_000);
  let schemas: TestDatabase;
  let link: FaultyLink;
  let bench: GateBench;

  before(async () => {
    schemas = await testDatabase({ services: ["seckill"] });
    const { redisUrl } = await testServers();
    link = await faultyLink(redisUrl);
    bench = await openGate({ redisUrl: link.url, commandTimeoutMs: COMMAND_TIMEOUT_MS });
    // Every node of every life listens for the end of the one connection.
    bench.redis.setMaxListeners(0);
  });
  after(async () => {
    bench.close();
    link.close();
    await schemas.drop();
  });

  it("keeps every promise, one per user, and sells every unit once", async () => {
    const seed = Number(process.env["PROPERTY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    let lives = 0;
    const property = fc.asyncProperty(commands, async (life) => {
      const real = {
        world: await AdmissionWorld.open({ schemas, bench, units: UNITS }),
        link,
        bench,
      };
      const model = new Model();
      await real.world.coordinate();
      await fc.asyncModelRun(() => ({ model, real }), life);
      await real.world.settle();
      await compare(model, real);
      await sellOut(model, real);
      await real.world.settle();
      await compare(model, real);
      await real.world.close();
      lives += 1;
    });
    await fc.assert(property, { numRuns: RUNS, seed, interruptAfterTimeLimit: TIME_MAX_MS });
    console.log(`      seed ${seed}: ${lives} lives`);
    assert.ok(lives > 0);
  });
});
