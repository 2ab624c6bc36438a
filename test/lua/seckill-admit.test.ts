// lua/seckill/admit.lua through the gate: each answer a buyer can get, and what is kept of it.
import assert from "node:assert/strict";
import { systemClock } from "../../services/kernel/clock.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import {
  type Gate,
  type GateAnswer,
  type GateCandidate,
  type GateLoad,
  type GateOutcome,
  GATE_BATCH_MAX,
} from "../../services/seckill/gate.ts";
import { type FaultyLink, faultyLink } from "../support/faulty-link.ts";
import {
  candidate,
  type GateBench,
  holdersOf,
  newId,
  openGate,
  openSale,
} from "../support/gate.ts";
import { testServers } from "../support/servers.ts";

const OWNER = "node-1:abc";
const DAY_MS = 86_400_000;

describe("admit.lua", () => {
  let bench: GateBench;
  before(async () => {
    bench = await openGate();
  });
  after(() => bench.close());

  const load = async (over: Partial<GateLoad> = {}): Promise<GateLoad> => {
    const sale = openSale(over);
    await bench.gate.load(sale);
    return sale;
  };
  const admit = (
    sale: GateLoad,
    candidates: readonly GateCandidate[],
    over: { settled?: readonly string[]; owner?: string; gate?: Gate } = {},
  ): Promise<readonly GateAnswer[]> => {
    const { gate = bench.gate, settled = [], owner = OWNER } = over;
    const { saleId, epoch } = sale;
    return gate.admit({ saleId, epoch, owner, settled, candidates });
  };
  const answer = (outcome: GateOutcome, orderId?: string): GateAnswer => ({ outcome, orderId });
  const stockAndPending = async (sale: GateLoad): Promise<[number, number] | undefined> => {
    const state = await bench.gate.state(sale);
    return state && [state.stock, state.pending];
  };

  it("admits in the order of arrival until nothing is left", async () => {
    const sale = await load({ units: 2 });
    const buyers = [candidate(), candidate(), candidate()];
    assert.deepEqual(await admit(sale, buyers), [
      answer("admitted", buyers[0]!.orderId),
      answer("admitted", buyers[1]!.orderId),
      answer("sold_out"),
    ]);
    assert.deepEqual(await admit(sale, [candidate()]), [answer("sold_out")]);
    assert.deepEqual(await stockAndPending(sale), [0, 2]);
  });

  it("answers the same request again with the order id it got, whatever is sent now", async () => {
    const sale = await load({ units: 1 });
    const buyer = candidate();
    await admit(sale, [buyer]);
    const again = { ...buyer, orderId: newId() };
    assert.deepEqual(await admit(sale, [again]), [answer("admitted", buyer.orderId)]);
    assert.deepEqual(await stockAndPending(sale), [0, 1]);
  });

  it("tells the same request again also when its commit is settled, without a new commit to wait for", async () => {
    const sale = await load();
    const buyer = candidate();
    await admit(sale, [buyer]);
    await bench.gate.settle({ ...sale, orderIds: [buyer.orderId] });
    assert.deepEqual(await admit(sale, [buyer]), [answer("admitted", buyer.orderId)]);
    assert.deepEqual(await stockAndPending(sale), [2, 0]);
  });

  it("takes the same order id for the same attempt, so that an admission can be run again", async () => {
    const buyer = candidate();
    const sale = await load({
      holders: holdersOf([{ userId: buyer.userId, orderId: buyer.orderId }]),
    });
    assert.deepEqual(await admit(sale, [buyer]), [answer("admitted", buyer.orderId)]);
  });

  it("hands the commit to the node that asks again", async () => {
    const sale = await load();
    const buyer = candidate();
    await admit(sale, [buyer], { owner: "node-1:abc" });
    await admit(sale, [buyer], { owner: "node-2:def" });
    const { members } = await bench.gate.pending(sale);
    assert.deepEqual(members, [
      { orderId: buyer.orderId, userId: buyer.userId, owner: "node-2:def" },
    ]);
  });

  it("tells another request of a buyer that the first is in progress, then that he has one", async () => {
    const sale = await load();
    const buyer = candidate();
    const second = candidate({ userId: buyer.userId });
    await admit(sale, [buyer]);
    assert.deepEqual(await admit(sale, [second]), [answer("in_progress", buyer.orderId)]);
    const settled = [buyer.orderId];
    assert.deepEqual(await admit(sale, [second], { settled }), [answer("already", buyer.orderId)]);
    assert.deepEqual(await stockAndPending(sale), [2, 0]);
  });

  it("sees a buyer who occurs twice in one batch", async () => {
    const sale = await load();
    const buyer = candidate();
    const answers = await admit(sale, [
      buyer,
      candidate({ userId: buyer.userId }),
      { ...buyer, orderId: newId() },
    ]);
    assert.deepEqual(answers, [
      answer("admitted", buyer.orderId),
      answer("in_progress", buyer.orderId),
      answer("admitted", buyer.orderId),
    ]);
    assert.deepEqual(await stockAndPending(sale), [2, 1]);
  });

  it("tells a holder his order id after the sale is sold out", async () => {
    const holder = { userId: newId(), orderId: newId() };
    const sale = await load({ units: 1, holders: holdersOf([holder]) });
    const buyer = candidate({ userId: holder.userId });
    assert.deepEqual(await admit(sale, [buyer, candidate()]), [
      answer("already", holder.orderId),
      answer("sold_out"),
    ]);
  });

  it("refuses outside the window by the server's clock, up to its edges", async () => {
    const [seconds, micros] = await bench.redis.time();
    const serverNow = Math.floor(Number(seconds) * 1_000 + Number(micros) / 1_000);
    const cases: readonly (readonly [number, number, GateOutcome])[] = [
      [serverNow + 5_000, serverNow + DAY_MS, "not_started"],
      [serverNow - 1, serverNow + DAY_MS, "admitted"],
      [serverNow - DAY_MS, serverNow + 5_000, "admitted"],
      [serverNow - DAY_MS, serverNow, "ended"],
      [serverNow - DAY_MS, serverNow - 1, "ended"],
    ];
    for (const [startsAtMs, endsAtMs, outcome] of cases) {
      const sale = await load({ startsAtMs, endsAtMs });
      const [first] = await admit(sale, [candidate()]);
      assert.equal(first?.outcome, outcome, `from ${startsAtMs - serverNow} ms`);
      assert.equal((await stockAndPending(sale))?.[0], outcome === "admitted" ? 2 : 3);
    }
  });

  it("opens and ends by itself when its time has come", async () => {
    const [seconds, micros] = await bench.redis.time();
    const serverNow = Math.floor(Number(seconds) * 1_000 + Number(micros) / 1_000);
    const [opensInMs, isOpenForMs] = [60, 120];
    const startsAtMs = serverNow + opensInMs;
    const sale = await load({ startsAtMs, endsAtMs: startsAtMs + isOpenForMs, units: 1_000_000 });
    const seen: GateOutcome[] = [];
    const giveUpAt = performance.now() + 2_000;
    while (seen.at(-1) !== "ended" && performance.now() < giveUpAt) {
      const [{ outcome } = { outcome: "not_loaded" as const }] = await admit(sale, [candidate()]);
      if (outcome !== seen.at(-1)) seen.push(outcome);
    }
    assert.deepEqual(seen, ["not_started", "admitted", "ended"]);
  });

  it("still tells a holder his order id after the end", async () => {
    const holder = { userId: newId(), orderId: newId(), requestId: "the-first" };
    const past = { startsAtMs: Date.now() - DAY_MS, endsAtMs: Date.now() - 10_000 };
    const sale = await load({ ...past, holders: holdersOf([holder]) });
    const answers = await admit(sale, [
      candidate({ userId: holder.userId }),
      candidate({ userId: holder.userId, requestId: "the-first" }),
      candidate(),
    ]);
    assert.deepEqual(answers, [
      answer("already", holder.orderId),
      answer("admitted", holder.orderId),
      answer("ended"),
    ]);
  });

  it("does nothing for anybody when the epoch is not loaded", async () => {
    const sale = openSale();
    const answers = await admit(sale, [candidate(), candidate()]);
    assert.deepEqual(answers, [answer("not_loaded"), answer("not_loaded")]);
    assert.deepEqual(await bench.redis.keys(bench.keyOf(sale, "*")), []);
  });

  describe("when nobody waits for the answer any more", () => {
    let link: FaultyLink;
    let far: GateBench;
    before(async () => {
      link = await faultyLink((await testServers()).redisUrl);
      far = await openGate({ redisUrl: link.url, namespace: bench.namespace });
    });
    after(() => {
      far.close();
      link.close();
    });

    it("lets nobody in, however late the server hears of it", async () => {
      const sale = await load({ units: 2 });
      const { gate } = far;
      const [first, second] = [candidate(), candidate()];
      assert.deepEqual(await admit(sale, [first], { gate }), [answer("admitted", first.orderId)]);
      link.hold("requests");
      await assert.rejects(admit(sale, [second], { gate }), /timed out/);
      link.mend();
      // Commands of one connection are carried out in their order, and this one is answered.
      assert.deepEqual((await gate.holders(sale)).userIds, [first.userId]);
      assert.deepEqual(await stockAndPending(sale), [1, 1]);
    });

    it("lets in whoever waits although one of the clocks was set, at the second sending", async () => {
      const sale = await load();
      let aheadMs = 0;
      const monotonic = (): number => systemClock.monotonic() + aheadMs;
      const gate = createGate({ ...bench, clock: { ...systemClock, monotonic } });
      for (const stepMs of [DAY_MS, -DAY_MS]) {
        const buyer = candidate();
        aheadMs += stepMs;
        const answers = await admit(sale, [buyer], { gate });
        assert.deepEqual(answers, [answer("admitted", buyer.orderId)]);
      }
    });
  });

  for (const part of ["stock", "window", "users"]) {
    it(`is not loaded when the server has thrown its ${part} away`, async () => {
      const sale = await load();
      await bench.redis.del(bench.keyOf(sale, part));
      assert.deepEqual(await admit(sale, [candidate()]), [answer("not_loaded")]);
    });
  }

  it("is not loaded when the keys are of another run of the server", async () => {
    const sale = await load();
    await bench.redis.hset(bench.keyOf(sale, "users"), "run", "0".repeat(40));
    assert.deepEqual(await admit(sale, [candidate()]), [answer("not_loaded")]);
    assert.equal(await bench.gate.state(sale), undefined);
  });

  it("takes nothing when it cannot note who is pending", async () => {
    const sale = await load();
    await bench.redis.set(bench.keyOf(sale, "pending"), "of another type");
    assert.deepEqual(await admit(sale, [candidate()]), [answer("not_loaded")]);
    assert.equal(await bench.redis.get(bench.keyOf(sale, "stock")), "3");
    assert.equal(await bench.redis.hlen(bench.keyOf(sale, "users")), 1);
  });

  it("takes a full batch, with as many settled before", async () => {
    const sale = await load({ units: 10_000 });
    const firsts = Array.from({ length: GATE_BATCH_MAX }, () => candidate());
    await admit(sale, firsts);
    const settled = firsts.map(({ orderId }) => orderId);
    const seconds = Array.from({ length: GATE_BATCH_MAX }, () => candidate());
    const answers = await admit(sale, seconds, { settled });
    assert.deepEqual(
      answers,
      seconds.map(({ orderId }) => answer("admitted", orderId)),
    );
    assert.deepEqual(await stockAndPending(sale), [10_000 - 2 * GATE_BATCH_MAX, GATE_BATCH_MAX]);
  });

  it("writes a line per batch of winners into the journal", async () => {
    const sale = await load({ units: 2 });
    const buyers = [candidate(), candidate(), candidate()];
    await admit(sale, buyers);
    const entries = await bench.redis.xrange(bench.keyOf(sale, "journal"), "-", "+");
    assert.deepEqual(
      entries.map(([, fields]) => fields),
      [
        ["opened", "2", "holders", "0"],
        ["admitted", `${buyers[0]!.orderId},${buyers[1]!.orderId}`, "owner", OWNER],
      ],
    );
  });

  it("keeps epochs and sales apart", async () => {
    const sale = await load({ units: 1 });
    const next = await load({ saleId: sale.saleId, epoch: 2, units: 1 });
    const other = await load({ units: 1 });
    const buyer = candidate();
    for (const one of [sale, next, other]) {
      assert.deepEqual(await admit(one, [buyer]), [answer("admitted", buyer.orderId)]);
    }
  });
});
