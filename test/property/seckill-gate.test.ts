// Random lives of gates on a real Redis against a model: every answer and, at the end of each life,
// every key is the model's. Commands of a life are sent without waiting for each other and run in
// their order, so that a life of 500 commands takes milliseconds. PROPERTY_SEED replays a run.
import assert from "node:assert/strict";
import fc from "fast-check";
import { must } from "../../services/kernel/assert.ts";
import type { Gate, GateCandidate, GateState } from "../../services/seckill/gate.ts";
import { type GateBench, newId, openGate } from "../support/gate.ts";
import { GateModel, type ModelWindow, type Part } from "../support/gate-model.ts";

const COMMANDS_MIN = 100_000;
/** Thousands of commands are on their way at once. */
const COMMAND_TIMEOUT_MS = 10_000;
/** After this a failure is told as small as it is by then. */
const SHRINKING_MS_MAX = 30_000;
const COMMANDS_PER_LIFE_MAX = 1_000;
/** Lives that run side by side, each on keys of its own, and rounds of them between two counts. */
const LIVES_AT_ONCE = 8;
const ROUNDS = 8;
const BATCH_MAX = 8;
const EPOCHS = 3;
const USERS = 9;
const REQUESTS = 3;
const UNITS_MAX = 7;
const OWNERS = ["node-1:a", "node-2:b"] as const;
const PARTS: readonly Part[] = ["stock", "window", "users", "pending", "journal"];
const HOUR_MS = 3_600_000;
const OTHER_RUN = "0".repeat(40);

/** All that a command needs is drawn from its number, so that a life is a list of numbers. */
function drawFrom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
type Draw = ReturnType<typeof drawFrom>;

class Life {
  readonly #bench: GateBench;
  readonly #gate: Gate;
  readonly #saleId = newId();
  readonly #users = Array.from({ length: USERS }, () => newId());
  readonly #models = Array.from({ length: EPOCHS }, () => new GateModel());
  readonly #versions = new Map<number, { readonly version: string; readonly changes: number }>();
  /** Orders ever tried, newest last: ended and unknown ones are asked about as well. */
  readonly #tried: { readonly userId: string; readonly orderId: string }[] = [];
  #under: Promise<void>[] = [];
  #lastAdmit: (() => void) | undefined;

  constructor(bench: GateBench) {
    this.#bench = bench;
    this.#gate = bench.gate;
  }

  async run(numbers: readonly number[]): Promise<void> {
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) await this.#load(epoch, drawFrom(epoch));
    for (const number of numbers) await this.#command(drawFrom(number));
    await this.#answered();
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) await this.#compareKeys(epoch);
    for (let epoch = 0; epoch < EPOCHS; epoch += 1) await this.#gate.drop(this.#epochOf(epoch));
  }

  async #command(draw: Draw): Promise<void> {
    const epoch = draw(EPOCHS);
    const kind = draw(100);
    if (kind < 45) this.#admit(epoch, draw);
    else if (kind < 50) this.#lastAdmit?.();
    else if (kind < 62) this.#settle(epoch, draw);
    else if (kind < 82) this.#giveBack(epoch, draw);
    else if (kind < 90) this.#state(epoch);
    else if (kind < 94) this.#pending(epoch);
    else if (kind < 97) await this.#load(epoch, draw);
    else await this.#disturb(epoch, draw);
  }

  /** Sends without waiting; the answer is checked when it is there. */
  #send<T>(answer: Promise<T>, check: (answer: T) => void): void {
    this.#under.push(answer.then(check));
  }

  async #answered(): Promise<void> {
    const under = this.#under;
    this.#under = [];
    await Promise.all(under);
  }

  #admit(epoch: number, draw: Draw): void {
    const candidates = Array.from({ length: 1 + draw(BATCH_MAX) }, () => this.#candidate(draw));
    const input = {
      ...this.#epochOf(epoch),
      owner: must(OWNERS[draw(OWNERS.length)], "an owner"),
      settled: draw(3) === 0 ? this.#someOrders(draw) : [],
      candidates,
    };
    this.#lastAdmit = () => {
      const expected = this.#model(epoch).admit(candidates, input);
      this.#send(this.#gate.admit(input), (answers) => assert.deepEqual(answers, expected));
    };
    this.#lastAdmit();
    this.#tried.push(...candidates.map(({ userId, orderId }) => ({ userId, orderId })));
  }

  #candidate(draw: Draw): GateCandidate {
    const userId = must(this.#users[draw(USERS)], "a user");
    const requestId = `${userId}:r${draw(REQUESTS)}`;
    const known = this.#tried.findLast((one) => one.userId === userId);
    const orderId = known !== undefined && draw(6) === 0 ? known.orderId : newId();
    return { userId, requestId, orderId };
  }

  #someOrders(draw: Draw): readonly string[] {
    const last = this.#tried.slice(-2 * BATCH_MAX);
    return last.filter(() => draw(2) === 0).map(({ orderId }) => orderId);
  }

  #settle(epoch: number, draw: Draw): void {
    const orderIds = this.#someOrders(draw);
    this.#model(epoch).settle(orderIds);
    this.#send(this.#gate.settle({ ...this.#epochOf(epoch), orderIds }), () => undefined);
  }

  #giveBack(epoch: number, draw: Draw): void {
    const model = this.#model(epoch);
    const held = [...model.users].map(([userId, { orderId }]) => ({ userId, orderId }));
    const from = held.length > 0 && draw(4) > 0 ? held : this.#tried;
    const one = from[draw(Math.max(1, from.length))];
    if (one === undefined) return;
    const expected = model.giveBack(one.userId, one.orderId);
    this.#send(this.#gate.giveBack({ ...this.#epochOf(epoch), ...one }), (outcome) =>
      assert.equal(outcome, expected),
    );
  }

  #state(epoch: number): void {
    const model = this.#model(epoch);
    const { stock, changes, units } = model;
    const pending = model.pending.size;
    const isReadable = model.isReadable();
    const hasJournal = model.parts.has("journal");
    if (isReadable) assert.equal(stock + model.users.size, units, "every unit is somewhere");
    this.#send(this.#gate.state(this.#epochOf(epoch)), (state) => {
      if (!isReadable) {
        assert.equal(state, undefined);
        return;
      }
      assert.deepEqual([state?.stock, state?.pending], [stock, pending]);
      if (hasJournal) this.#checkVersion(epoch, must(state, "a state"), changes);
    });
  }

  #checkVersion(epoch: number, { version }: GateState, changes: number): void {
    const last = this.#versions.get(epoch);
    if (last !== undefined) assert.equal(version === last.version, changes === last.changes);
    this.#versions.set(epoch, { version, changes });
  }

  #pending(epoch: number): void {
    const model = this.#model(epoch);
    const expected = model.isPendingMarked && model.isOfThisRun ? pendingOf(model) : [];
    this.#send(this.#gate.pending(this.#epochOf(epoch)), ({ members, next }) => {
      assert.equal(next, undefined);
      const found = members.map((one) => `${one.orderId} ${one.userId} ${one.owner}`);
      assert.deepEqual(found.sort(), expected);
    });
  }

  async #load(epoch: number, draw: Draw): Promise<void> {
    await this.#answered();
    const units = draw(UNITS_MAX + 1);
    const holders = this.#users
      .filter(() => draw(4) === 0)
      .slice(0, units)
      .map((userId) => ({
        userId,
        orderId: newId(),
        ...(draw(2) === 0 ? { requestId: `${userId}:r${draw(REQUESTS)}` } : {}),
      }));
    const window = (["open", "open", "open", "before", "after"] as const)[draw(5)] ?? "open";
    const isLoaded = this.#model(epoch).load({ units, window, holders });
    const half = holders.length >> 1;
    const loading = this.#gate.load({
      ...this.#epochOf(epoch),
      ...boundsOf(window),
      units,
      holders: pages(holders.slice(0, half), holders.slice(half)),
    });
    if (isLoaded) await loading;
    else await assert.rejects(loading, /disturbed/);
  }

  /** The server throws keys away, or comes back with old ones. */
  async #disturb(epoch: number, draw: Draw): Promise<void> {
    await this.#answered();
    const model = this.#model(epoch);
    const what = draw(8);
    if (what === 0 && model.parts.has("users")) {
      for (const part of ["users", "pending"] as const) {
        const isThere = part === "users" || model.isPendingMarked;
        if (isThere) await this.#bench.redis.hset(this.#keyOf(epoch, part), "run", OTHER_RUN);
      }
      model.isOfThisRun = false;
    } else if (what <= 2) {
      const part = must(PARTS[draw(PARTS.length)], "a key");
      await this.#bench.redis.del(this.#keyOf(epoch, part));
      model.evict(part);
    } else {
      await this.#gate.drop(this.#epochOf(epoch));
      model.drop();
    }
  }

  async #compareKeys(epoch: number): Promise<void> {
    const { redis } = this.#bench;
    const model = this.#model(epoch);
    const stock = await redis.get(this.#keyOf(epoch, "stock"));
    assert.equal(stock, model.parts.has("stock") ? `${model.stock}` : null);
    const users = await redis.hgetall(this.#keyOf(epoch, "users"));
    const held = [...model.users].map(([id, one]) => [id, `${one.orderId}:${one.requestId}`]);
    assert.deepEqual(withoutRun(users), Object.fromEntries(held));
    const pending = await redis.hgetall(this.#keyOf(epoch, "pending"));
    const waiting = [...model.pending].map(([id, one]) => [id, `${one.userId}:${one.owner}`]);
    assert.deepEqual(withoutRun(pending), Object.fromEntries(waiting));
  }

  #model(epoch: number): GateModel {
    return must(this.#models[epoch], "a model");
  }

  #epochOf(epoch: number): { saleId: string; epoch: number } {
    return { saleId: this.#saleId, epoch: epoch + 1 };
  }

  #keyOf(epoch: number, part: Part): string {
    return this.#bench.keyOf(this.#epochOf(epoch), part);
  }
}

function withoutRun(hash: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(hash).filter(([field]) => field !== "run"));
}

function pendingOf({ pending }: GateModel): readonly string[] {
  return [...pending].map(([orderId, one]) => `${orderId} ${one.userId} ${one.owner}`).sort();
}

function boundsOf(window: ModelWindow): { startsAtMs: number; endsAtMs: number } {
  const now = Date.now();
  const shiftMs = { before: 2 * HOUR_MS, open: 0, after: -2 * HOUR_MS }[window];
  return { startsAtMs: now + shiftMs - HOUR_MS, endsAtMs: now + shiftMs + HOUR_MS };
}

async function* pages<T>(...all: readonly (readonly T[])[]): AsyncGenerator<readonly T[]> {
  for (const page of all) yield await Promise.resolve(page);
}

/** A script the server does not know is sent twice, and would be overtaken by what follows it. */
async function knowScripts(gate: Gate): Promise<void> {
  const epoch = { saleId: newId(), epoch: 1 };
  const userId = newId();
  const [orderId, requestId] = [newId(), "r"];
  const holders = pages([{ userId, orderId }]);
  await gate.load({ ...epoch, ...boundsOf("open"), units: 1, holders });
  await gate.admit({
    ...epoch,
    owner: "o",
    settled: [],
    candidates: [{ userId, orderId, requestId }],
  });
  await gate.giveBack({ ...epoch, userId, orderId });
  await gate.state(epoch);
  await gate.drop(epoch);
}

describe("the gate, whatever is asked of it", function () {
  this.timeout(180_000);
  let bench: GateBench;
  before(async () => {
    bench = await openGate({ commandTimeoutMs: COMMAND_TIMEOUT_MS });
    await knowScripts(bench.gate);
  });
  after(() => bench.close());

  it(`answers as its model in ${COMMANDS_MIN} commands and more`, async () => {
    const seed = Number(process.env["PROPERTY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    const startedAt = performance.now();
    let commands = 0;
    const numbers = fc.array(fc.noShrink(fc.integer({ min: 0, max: 2 ** 32 - 1 })), {
      minLength: 1,
      maxLength: COMMANDS_PER_LIFE_MAX,
      size: "max",
    });
    const lives = fc.array(numbers, { minLength: 1, maxLength: LIVES_AT_ONCE, size: "max" });
    const answersAsItsModel = fc.asyncProperty(lives, async (atOnce) => {
      for (const life of atOnce) commands += life.length;
      await Promise.all(atOnce.map((life) => new Life(bench).run(life)));
    });
    let runs = 0;
    while (commands < COMMANDS_MIN) {
      await fc.assert(answersAsItsModel, {
        numRuns: ROUNDS,
        seed: seed + runs,
        interruptAfterTimeLimit: SHRINKING_MS_MAX,
        markInterruptAsFailure: true,
      });
      runs += 1;
    }
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    console.log(`      seed ${seed}: ${commands} commands in ${seconds} s`);
  });
});
