// The load, give-back, settle and reading scripts of the gate.
import assert from "node:assert/strict";
import { GATE_BEGIN_LOAD, GATE_LOAD_HOLDERS, GATE_OPEN } from "../../lua/seckill.scripts.ts";
import {
  GATE_HEARTBEAT_TTL_MS,
  type GateLoad,
  GATE_PAGE_MAX,
} from "../../services/seckill/gate.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import { must } from "../../services/kernel/assert.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { eventually } from "../support/eventually.ts";
import {
  candidate,
  type GateBench,
  holdersOf,
  newId,
  openGate,
  openSale,
} from "../support/gate.ts";

const OWNER = "node-1:abc";
const HOUR_MS = 3_600_000;
const RUN_TIMEOUT_MS = 5_000;

describe("the gate's load and give-back", () => {
  let bench: GateBench;
  before(async () => {
    bench = await openGate();
  });
  after(() => bench.close());

  const holders = (count: number) =>
    Array.from({ length: count }, () => ({ userId: newId(), orderId: newId() }));
  const admit = async (sale: GateLoad, userId = newId()): Promise<string | undefined> => {
    const asked = { ...sale, owner: OWNER, settled: [], candidates: [candidate({ userId })] };
    return (await bench.gate.admit(asked))[0]?.orderId;
  };
  const keysOf = (sale: GateLoad) => ({
    stock: bench.keyOf(sale, "stock"),
    window: bench.keyOf(sale, "window"),
    users: bench.keyOf(sale, "users"),
    pending: bench.keyOf(sale, "pending"),
    journal: bench.keyOf(sale, "journal"),
  });

  it("asks for the run of the server again when the first answer was lost", async () => {
    const other = await openGate();
    const { redis } = other;
    const ask = redis.info.bind(redis);
    let asked = 0;
    redis.info = ((section: string) => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error("Command timed out")) : ask(section);
    }) as typeof redis.info;
    const gate = createGate({ redis, namespace: bench.namespace, clock: systemClock });
    const isKnown = eventually(() => gate.runId() !== undefined, {
      timeoutMs: RUN_TIMEOUT_MS,
      what: "the run of the server is known",
    });
    await isKnown.finally(() => other.close());
    assert.equal(asked, 2);
  });

  describe("load", () => {
    it("leaves the units that no holder has", async () => {
      const pages = [holders(GATE_PAGE_MAX), [], holders(7)];
      const sale = openSale({ units: 1_000, holders: holdersOf(...pages) });
      await bench.gate.load(sale);
      const state = await bench.gate.state(sale);
      assert.deepEqual([state?.stock, state?.pending], [1_000 - GATE_PAGE_MAX - 7, 0]);
    });

    it("does nothing for an epoch that is loaded", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      await admit(sale);
      await bench.gate.load({ ...sale, units: 1_000, holders: holdersOf() });
      assert.equal((await bench.gate.state(sale))?.stock, 2);
    });

    it("starts over after a try that broke off", async () => {
      const sale = openSale();
      await assert.rejects(
        bench.gate.load({ ...sale, holders: breakingOff(holders(2)) }),
        /database away/,
      );
      assert.equal(await bench.gate.state(sale), undefined);
      await bench.gate.load({ ...sale, holders: holdersOf(holders(1)) });
      assert.equal((await bench.gate.state(sale))?.stock, 2);
    });

    it("gives up when holders vanish under it", async () => {
      const sale = openSale();
      const vanishing = async function* () {
        yield holders(1);
        await bench.redis.hdel(bench.keyOf(sale, "users"), "run");
        yield holders(1);
      };
      await assert.rejects(bench.gate.load({ ...sale, holders: vanishing() }), /disturbed/);
      assert.equal(await bench.gate.state(sale), undefined);
    });

    it("gives up when another try of it began anew in between", async () => {
      const sale = openSale();
      const beganAnew = async function* () {
        yield holders(1);
        await GATE_BEGIN_LOAD.run(bench.redis, keysOf(sale), {
          run_id: must(bench.gate.runId(), "a run"),
          expires_at_ms: sale.endsAtMs,
        });
        yield holders(1);
      };
      await assert.rejects(bench.gate.load({ ...sale, holders: beganAnew() }), /disturbed/);
    });

    it("never revives an epoch of another run of the server", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      await bench.redis.hset(bench.keyOf(sale, "users"), "run", "0".repeat(40));
      await assert.rejects(bench.gate.load(sale), /disturbed/);
    });

    it("ignores late copies of its own commands once the gate is open", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      const run_id = must(bench.gate.runId(), "a run");
      await admit(sale);
      const expires_at_ms = sale.endsAtMs;
      const keys = keysOf(sale);
      assert.equal(
        await GATE_BEGIN_LOAD.run(bench.redis, keys, { run_id, expires_at_ms }),
        "loaded",
      );
      const users_and_attempts = [newId(), `${newId()}:`];
      assert.equal(
        await GATE_LOAD_HOLDERS.run(bench.redis, keys, { run_id, users_and_attempts }),
        "disturbed",
      );
      const last = { run_id, window: "0:1", expires_at_ms, holder_count: 1, stock: 3 };
      assert.equal(await GATE_OPEN.run(bench.redis, keys, last), "open");
      assert.equal((await bench.gate.state(sale))?.stock, 2);
      assert.equal(await bench.redis.hlen(keys.users), 2);
    });

    it("gives every key an end after the sale's, which buyers and settling keep", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      const orderId = must(await admit(sale), "an order");
      await bench.gate.settle({ ...sale, orderIds: [orderId] });
      const keys = await bench.redis.keys(bench.keyOf(sale, "*"));
      assert.equal(keys.length, 5);
      for (const key of keys) {
        assert.equal(await bench.redis.pexpiretime(key), sale.endsAtMs + HOUR_MS, key);
      }
    });

    it("deletes all that an epoch left", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      await admit(sale);
      await bench.gate.drop(sale);
      assert.deepEqual(await bench.redis.keys(bench.keyOf(sale, "*")), []);
    });
  });

  describe("give-back", () => {
    it("returns a unit once, and lets the buyer in again", async () => {
      const sale = openSale({ units: 1 });
      await bench.gate.load(sale);
      const userId = newId();
      const orderId = must(await admit(sale, userId), "an order");
      assert.equal(await bench.gate.giveBack({ ...sale, userId, orderId }), "given_back");
      assert.equal(await bench.gate.giveBack({ ...sale, userId, orderId }), "not_holder");
      assert.deepEqual(await stockAndPending(sale), [1, 0]);
      assert.notEqual(await admit(sale, userId), orderId);
    });

    it("leaves the buyer's later order alone", async () => {
      const sale = openSale({ units: 1 });
      await bench.gate.load(sale);
      const userId = newId();
      const first = must(await admit(sale, userId), "an order");
      await bench.gate.giveBack({ ...sale, userId, orderId: first });
      await admit(sale, userId);
      assert.equal(await bench.gate.giveBack({ ...sale, userId, orderId: first }), "not_holder");
      assert.deepEqual(await stockAndPending(sale), [0, 1]);
    });

    it("returns the unit of a holder that was loaded", async () => {
      const [holder] = holders(1);
      const sale = openSale({ units: 1, holders: holdersOf([holder!]) });
      await bench.gate.load(sale);
      assert.equal(await bench.gate.giveBack({ ...sale, ...holder! }), "given_back");
      assert.deepEqual(await stockAndPending(sale), [1, 0]);
    });

    it("takes an order off the pending ones that was loaded as somebody else's", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      const orderId = must(await admit(sale), "an order");
      assert.equal(await bench.gate.giveBack({ ...sale, userId: newId(), orderId }), "not_holder");
      assert.deepEqual(await stockAndPending(sale), [2, 0]);
    });

    it("says when the epoch is not loaded", async () => {
      const sale = openSale();
      const given = { ...sale, userId: newId(), orderId: newId() };
      assert.equal(await bench.gate.giveBack(given), "not_loaded");
      await bench.gate.load(sale);
      await bench.redis.hset(bench.keyOf(sale, "users"), "run", "0".repeat(40));
      assert.equal(await bench.gate.giveBack(given), "not_loaded");
    });

    const stockAndPending = async (sale: GateLoad) => {
      const state = must(await bench.gate.state(sale), "a loaded gate");
      return [state.stock, state.pending];
    };
  });

  describe("reading", () => {
    it("tells a new version after every admission and give-back, and the same one otherwise", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      const versions = [await version(sale)];
      const userId = newId();
      const orderId = must(await admit(sale, userId), "an order");
      versions.push(await version(sale));
      await bench.gate.giveBack({ ...sale, userId, orderId });
      versions.push(await version(sale));
      assert.equal(new Set(versions).size, 3);
      assert.equal(await version(sale), versions[2]);
    });

    it("is not loaded when its pending ones were thrown away", async () => {
      const sale = openSale();
      await bench.gate.load(sale);
      await bench.redis.del(bench.keyOf(sale, "pending"));
      assert.equal(await bench.gate.state(sale), undefined);
    });

    it("pages through all that is pending", async () => {
      const count = 2_000;
      const sale = openSale({ units: count });
      await bench.gate.load(sale);
      const wanted = new Set<string>();
      for (let at = 0; at < count; at += 250) {
        const candidates = Array.from({ length: 250 }, () => candidate());
        for (const { orderId } of candidates) wanted.add(orderId);
        await bench.gate.admit({ ...sale, owner: OWNER, settled: [], candidates });
      }
      const seen = new Set<string>();
      let cursor: string | undefined;
      do {
        const page = await bench.gate.pending({ ...sale, cursor });
        for (const member of page.members) {
          assert.equal(member.owner, OWNER);
          seen.add(member.orderId);
        }
        cursor = page.next;
      } while (cursor !== undefined);
      assert.deepEqual(seen, wanted);
    });

    it("shows nothing pending of an epoch that is not loaded", async () => {
      assert.deepEqual(await bench.gate.pending(openSale()), { members: [], next: undefined });
    });

    it("knows which owners gave a sign of life, for a while", async () => {
      const [alive, silent] = [`alive-${newId()}`, `silent-${newId()}`];
      await bench.gate.heartbeat(alive);
      assert.deepEqual(await bench.gate.aliveOwners([alive, silent]), new Set([alive]));
      const [key] = await bench.redis.keys(`${bench.namespace}:seckill:owner:*`);
      const ttlMs = await bench.redis.pttl(must(key, "a sign of life"));
      assert.ok(ttlMs > 0 && ttlMs <= GATE_HEARTBEAT_TTL_MS, `${ttlMs} ms`);
    });

    const version = async (sale: GateLoad): Promise<string> =>
      must(await bench.gate.state(sale), "a loaded gate").version;
  });
});

async function* breakingOff(page: readonly { userId: string; orderId: string }[]) {
  yield await Promise.resolve(page);
  throw new Error("database away");
}
