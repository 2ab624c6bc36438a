// The operator's rules with nothing running: what a node makes of the feed, when a threshold turns a
// switch on, what a page is while browsing is degraded.
import assert from "node:assert/strict";
import type { Context } from "moleculer";
import { createRuleBoard } from "../../mixins/rules/rule-board.ts";
import { createTripWatch, type Trip } from "../../mixins/rules/trip-watch.ts";
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import type { Rule } from "../../services/contracts/operations.ts";
import { createShelf } from "../../services/gateway/shelf.ts";
import { ADMIN_WORD_MS, decideTrip } from "../../services/operations/domain/rule.ts";
import { silentLog as log } from "../support/database.ts";
import { fakeClock } from "../support/fake-clock.ts";

const SALE = "7001";
const USER = "42";

describe("a node's board of rules", () => {
  const rule = (seq: number, changes: Partial<Rule>): Rule => ({
    seq,
    kind: "stop_orders",
    target: "",
    user_id: "",
    is_on: true,
    value: null,
    ...changes,
  });

  function boardOf(feed: Rule[], pageSize = 2) {
    const asked: number[] = [];
    const board = createRuleBoard({
      fetch: (afterSeq) => {
        asked.push(afterSeq);
        return Promise.resolve(feed.filter(({ seq }) => seq > afterSeq).slice(0, pageSize));
      },
      clock: fakeClock(),
      log,
      metrics: { set: () => undefined, onCollect: () => undefined },
    });
    return { board, asked };
  }

  it("knows nothing until it has read, and then asks only for what is newer", async () => {
    const feed = [rule(1, {}), rule(2, { kind: "pause_sale", target: SALE })];
    const { board, asked } = boardOf(feed);
    assert.equal(board.isKnown(), false);
    await board.poll();
    assert.equal(board.isKnown(), true);
    assert.equal(board.refusalOfOrder(USER), "ORDERS_STOPPED");
    assert.equal(board.refusalOfPurchase(SALE, USER), "SECKILL_PAUSED");
    feed.push(
      rule(3, { is_on: false }),
      rule(4, { kind: "pause_sale", target: SALE, is_on: false }),
    );
    await board.poll();
    assert.deepEqual(asked, [0, 2, 2, 4]);
    assert.equal(board.refusalOfPurchase(SALE, USER), undefined);
  });

  it("keeps what it knows while nobody can be asked", async () => {
    let isAway = false;
    const board = createRuleBoard({
      fetch: (afterSeq) => {
        if (isAway) return Promise.reject(new PlatformError("SERVICE_UNAVAILABLE"));
        return Promise.resolve(afterSeq === 0 ? [rule(1, {})] : []);
      },
      clock: fakeClock(),
      log,
      metrics: { set: () => undefined, onCollect: () => undefined },
    });
    await board.poll();
    isAway = true;
    await board.poll();
    assert.equal(board.refusalOfOrder(USER), "ORDERS_STOPPED");
  });

  it("reads again after a hint that came while it was reading", async () => {
    const { board, asked } = boardOf([rule(1, {})]);
    await Promise.all([board.poll(), board.poll(), board.poll()]);
    assert.deepEqual(asked, [0, 1, 1], "one reading for the first, one for all that followed");
  });

  it("opens a sale to everybody again when its last invitation is taken back", async () => {
    const guest = { kind: "invited", target: SALE, user_id: "1" } as const;
    const feed = [rule(1, guest)];
    const { board } = boardOf(feed);
    await board.poll();
    assert.equal(board.refusalOfPurchase(SALE, USER), "SECKILL_NOT_INVITED");
    assert.equal(board.refusalOfPurchase(SALE, "1"), undefined);
    assert.equal(board.refusalOfPurchase("7002", USER), undefined);
    feed.push(rule(2, { ...guest, is_on: false }));
    await board.poll();
    assert.equal(board.refusalOfPurchase(SALE, USER), undefined);
  });

  it("adds up the lines of one SKU against its limit", async () => {
    const { board } = boardOf([rule(1, { kind: "limit_sku", target: "5", value: 2 })]);
    await board.poll();
    const line = (sku_id: string, quantity: number) => ({ sku_id, quantity });
    assert.equal(board.lineOverLimit([line("5", 2), line("6", 50)]), undefined);
    assert.deepEqual(board.lineOverLimit([line("5", 1), line("5", 2)]), {
      skuId: "5",
      perOrder: 2,
    });
  });
});

describe("a threshold", () => {
  function watch(percent: number, isOn = false) {
    const clock = fakeClock();
    const trips: Trip[] = [];
    const created = createTripWatch({
      thresholds: {
        browsingFailedPercent: percent,
        browsingBusyPercent: 0,
        ordersFailedPercent: percent,
        channelFailedPercent: percent,
      },
      clock,
      isOn: () => isOn,
      report: (trip) => trips.push(trip),
      busyShare: () => 0,
    });
    const wrap = created.middleware()["localAction"] as unknown as (
      handler: (ctx: Context) => Promise<unknown>,
      action: { name: string },
    ) => (ctx: Context) => Promise<unknown>;
    const calls = async (name: string, count: number, error?: Error, params: object = {}) => {
      const outcome = () => (error === undefined ? Promise.resolve(1) : Promise.reject(error));
      const action = wrap(outcome, { name });
      for (let n = 0; n < count; n += 1) {
        await action({ params } as unknown as Context).catch(() => undefined);
      }
    };
    return { calls, trips, clock };
  }
  const FAULT = new PlatformError("INTERNAL");

  it("is passed by faults of ours, once there are enough calls", async () => {
    const { calls, trips } = watch(50);
    await calls("product.get", 25);
    await calls("product.get", 24, FAULT);
    assert.deepEqual(trips, []);
    await calls("product.get", 1, FAULT);
    assert.deepEqual(
      trips.map(({ name }) => name),
      ["degrade_browsing"],
    );
  });

  it("is not passed by refusals, by old faults, or when it is off or on already", async () => {
    const refusals = watch(50);
    await refusals.calls("order.place", 500, new PlatformError("INVENTORY_OUT_OF_STOCK"));
    const old = watch(50);
    await old.calls("order.place", 40, FAULT);
    old.clock.nowMs += 11_000;
    await old.calls("order.place", 40, FAULT);
    const [off, on] = [watch(0), watch(50, true)];
    await off.calls("order.place", 500, FAULT);
    await on.calls("order.place", 500, FAULT);
    for (const { trips } of [refusals, old, off, on]) assert.deepEqual(trips, []);
  });

  it("is a channel's own", async () => {
    const { calls, trips } = watch(80);
    const away = new PlatformError("PAYMENT_PROVIDER_UNAVAILABLE");
    await calls("payment.create", 60, undefined, { channel: "mock" });
    await calls("payment.create", 60, away, { channel: "alipay" });
    assert.ok(trips.length > 0);
    assert.ok(trips.every(({ name, target }) => name === "disable_channel" && target === "alipay"));
  });

  it("gives way to an admin's word for a while", () => {
    const off = { isOn: false, source: "admin", ageMs: ADMIN_WORD_MS - 1 } as const;
    assert.equal(decideTrip(undefined), "turn_on");
    assert.equal(decideTrip(off), "leave");
    assert.equal(decideTrip({ ...off, ageMs: ADMIN_WORD_MS }), "turn_on");
    assert.equal(decideTrip({ ...off, source: "expiry" }), "turn_on");
    assert.equal(decideTrip({ ...off, isOn: true }), "leave");
    assert.equal(decideTrip({ ...off, isOn: true, source: "trigger" }), "renew");
  });
});

describe("the shelf of copies", () => {
  it("answers copies while degraded, and lets few fetch what has none", async () => {
    let isDegraded = false;
    const clock = fakeClock();
    const shelf = createShelf({ clock, isDegraded: () => isDegraded });
    const ages: number[] = [];
    const ask = (id: string, fetch: () => Promise<unknown>) =>
      shelf.answer({
        action: "product.get",
        params: { id },
        fetch,
        onCopy: (ageS) => ages.push(ageS),
      });
    assert.equal(await ask("1", () => Promise.resolve("first")), "first");
    isDegraded = true;
    clock.nowMs += 5_000;
    assert.equal(await ask("1", () => Promise.resolve("second")), "first");
    assert.deepEqual(ages, [5]);
    const held: (() => void)[] = [];
    const slow = () => new Promise<unknown>((resolve) => held.push(() => resolve("late")));
    const asked = Array.from({ length: 10 }, (_, n) => ask(`slow-${n}`, slow));
    const outcomes = Promise.allSettled(asked);
    assert.ok(held.length < asked.length, "not all go on to the shop");
    for (const answer of held) answer();
    const settled = await outcomes;
    const refused = settled.filter(
      (one) => one.status === "rejected" && isPlatformError(one.reason, "BROWSING_DEGRADED"),
    );
    assert.equal(refused.length, asked.length - held.length);
  });
});
