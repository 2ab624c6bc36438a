// Buyers of a sale with its gate: the gate chooses, the database decides, and a gate that is lost in
// the middle of the sale costs nobody his unit.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { call } from "../../services/contracts/actions.ts";
import type { Admission, Sale } from "../../services/contracts/seckill.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { GIVE_UP_MS } from "../../services/seckill/commits.ts";
import { SECKILL_FAILPOINTS } from "../../services/seckill/failpoints.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import { createReaper } from "../../services/seckill/reaper.ts";
import { silentLog, testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createFaults, type Faults } from "../support/faults.ts";
import { newId, startOwnRedis } from "../support/gate.ts";
import { assertInvariants } from "../support/invariants.ts";
import { newCustomer, type ShopNode, shopNode, type ShopUser } from "../support/order-shop.ts";
import {
  admitAll,
  buyAs,
  buyPatiently,
  countBy,
  customers,
  openSale,
  SALE_SCHEMAS,
  SALE_UNITS,
  saleRows,
  whenQuiet,
} from "../support/sale-shop.ts";

type OwnRedis = Awaited<ReturnType<typeof startOwnRedis>>;

const SETTLE_MS = 15_000;
const CROWD = 500;
const UNITS = 50;
const BATCH = 100;
const LIVING_OWNER = "a-node-that-lives";

describe("a sale behind its gate", function () {
  this.timeout(60_000);
  let schemas: TestDatabase;
  let redis: OwnRedis;
  let shop: ShopNode;
  let faults: Faults;

  before(async () => {
    schemas = await testDatabase({ services: SALE_SCHEMAS });
    redis = await startOwnRedis();
    faults = createFaults();
    shop = await shopNode(schemas, {
      units: SALE_UNITS,
      failpoint: faults.failpoint,
      settings: { REDIS_URL: redis.redisUrl },
    });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SALE_SCHEMAS });
    await shop.stop();
    await redis.stop();
    await schemas.drop();
  });

  const modeOf = async (id: string): Promise<{ mode: string; epoch: number }> => {
    const rows = await saleRows<{ mode: string; epoch: number }>(
      schemas,
      "SELECT mode, epoch FROM sales WHERE id = ?",
      [id],
    );
    return rows[0]!;
  };
  const whenGated = (id: string): Promise<unknown> =>
    eventually(async () => (await modeOf(id)).mode === "redis", {
      timeoutMs: SETTLE_MS,
      what: "the gate is open",
    });
  const gatedSale = async (quantity: number): Promise<Sale> => {
    const sale = await openSale(shop, { quantity });
    await whenGated(sale.id);
    return sale;
  };
  const flush = async (): Promise<void> => {
    await shop.node.redis().flushall();
  };

  it(`sells ${UNITS} units to exactly ${UNITS} of ${CROWD} buyers at once`, async () => {
    const sale = await gatedSale(UNITS);
    const bought = await buyPatiently(shop, sale.id, customers(CROWD));
    const winners = bought.filter(({ orderId }) => orderId !== undefined);
    assert.equal(winners.length, UNITS, JSON.stringify(countBy(bought)));
    assert.equal(countBy(bought)["SECKILL_SOLD_OUT"], CROWD - UNITS);
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.remaining, audit.holds], [UNITS, 0, true]);
    assert.equal((await modeOf(sale.id)).mode, "redis");
  });

  it("sells one to a buyer, and the same request the same order", async () => {
    const sale = await gatedSale(10);
    const buyer = newCustomer();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => buyAs(shop, sale.id, buyer)),
    );
    assert.equal(new Set(answers.flatMap(({ orderId }) => orderId ?? [])).size, 1);
    assert.equal(countBy(answers)["queued"], 1, JSON.stringify(countBy(answers)));
    const other = { user_id: newCustomer().id, request_id: randomUUID() };
    const ask = async (): Promise<Admission | undefined> =>
      (await call(shop.node.broker, "seckill.admit", { sale_id: sale.id, candidates: [other] }))
        .items[0];
    const first = await ask();
    assert.deepEqual(await ask(), first);
    assert.equal((await whenQuiet(shop, sale.id)).live, 2);
  });

  for (const spot of [SECKILL_FAILPOINTS.admitAfterGate, SECKILL_FAILPOINTS.admitAfterCommit]) {
    it(`keeps every promise when a batch fails (${spot})`, async () => {
      const sale = await gatedSale(20);
      void faults.crashOnce(spot);
      const users = customers(30);
      await admitAll(shop, sale.id, users);
      const audit = await whenQuiet(shop, sale.id);
      assert.deepEqual([audit.live, audit.remaining, audit.holds], [20, 0, true]);
    });
  }

  it("goes on without the gate when Redis is emptied in the middle, and comes back to it", async () => {
    const sale = await gatedSale(300);
    const before = await modeOf(sale.id);
    const users = customers(500);
    const promised: string[] = [];
    for (let first = 0; first < users.length; first += BATCH) {
      if (first === 2 * BATCH) await flush();
      const bought = await buyPatiently(shop, sale.id, users.slice(first, first + BATCH));
      promised.push(...bought.flatMap(({ orderId }) => orderId ?? []));
    }
    assert.equal(promised.length, 300);
    assert.equal(new Set(promised).size, 300);
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.remaining, audit.holds], [300, 0, true]);
    const rows = await saleRows<{ order_id: string }>(
      schemas,
      "SELECT order_id FROM admissions WHERE sale_id = ? AND live = 1",
      [sale.id],
    );
    assert.deepEqual(rows.map(({ order_id }) => order_id).sort(), promised.sort());
    await whenGated(sale.id);
    assert.ok((await modeOf(sale.id)).epoch > before.epoch);
  });

  it("replaces a gate whose keys somebody has overwritten, although nobody buys", async () => {
    const sale = await gatedSale(3);
    const before = await modeOf(sale.id);
    const keys = await shop.node.redis().keys(`*{${sale.id}}*`);
    for (const key of keys) {
      await shop.node.redis().del(key);
      await shop.node.redis().rpush(key, "not what it was");
    }
    await eventually(async () => (await modeOf(sale.id)).epoch > before.epoch, {
      timeoutMs: SETTLE_MS,
      what: "a new epoch begins",
    });
    await whenGated(sale.id);
    const bought = await buyPatiently(shop, sale.id, customers(4));
    assert.deepEqual(countBy(bought), { queued: 3, SECKILL_SOLD_OUT: 1 });
  });

  it("takes back what the gate gave to a node that had stopped waiting for its answer", async () => {
    const sale = await gatedSale(1);
    const { epoch } = await modeOf(sale.id);
    const { NAMESPACE: namespace } = schemas.settings;
    const gate = createGate({ redis: shop.node.redis(), namespace, clock: systemClock });
    const [unheard, next] = customers(2) as [ShopUser, ShopUser];
    const candidate = { userId: unheard.id, requestId: randomUUID(), orderId: newId() };
    await gate.heartbeat(LIVING_OWNER);
    const asked = { saleId: sale.id, epoch, owner: LIVING_OWNER, settled: [] };
    const answers = await gate.admit({ ...asked, candidates: [candidate] });
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      ["admitted"],
    );
    let skewMs = 0;
    const reaper = createReaper({
      database: schemas.database("seckill"),
      gate,
      lease: { isHeld: () => true },
      clock: { ...systemClock, monotonic: () => systemClock.monotonic() + skewMs },
      log: silentLog,
      metrics: { increment: () => undefined },
      onChanged: () => undefined,
    });
    const look = async (): Promise<readonly (number | undefined)[]> => {
      await gate.heartbeat(LIVING_OWNER);
      await reaper.turn();
      const state = await gate.state({ saleId: sale.id, epoch });
      return [state?.stock, state?.pending];
    };
    assert.deepEqual(await look(), [0, 1]);
    // A living node may still be at it.
    skewMs = 2 * GIVE_UP_MS - SETTLE_MS;
    assert.deepEqual(await look(), [0, 1]);
    skewMs = 2 * GIVE_UP_MS;
    assert.deepEqual(await look(), [1, 0]);
    const told = await shop.as(unheard, "seckill.mine", { id: sale.id, explain: true });
    assert.deepEqual([told.status, told.order_id], ["refused", undefined]);
    assert.deepEqual(
      told.story?.map(({ what }) => what),
      ["the attempt was given up"],
    );
    assert.equal((await buyAs(shop, sale.id, next)).answer, "queued");
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.void, audit.live, audit.remaining, audit.holds], [1, 1, 0, true]);
  });

  it("lets a given-back unit through the gate again", async () => {
    const sale = await gatedSale(1);
    const [first, second] = customers(2) as [ShopUser, ShopUser];
    const { orderId = "" } = await buyAs(shop, sale.id, first);
    assert.equal((await buyAs(shop, sale.id, second)).answer, "SECKILL_SOLD_OUT");
    await whenQuiet(shop, sale.id);
    await shop.as(first, "order.cancel", { id: orderId });
    await eventually(async () => (await buyAs(shop, sale.id, second)).answer === "queued", {
      timeoutMs: SETTLE_MS,
      what: "the unit is sold again",
    });
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.given_back, audit.holds], [1, 1, true]);
    assert.equal((await modeOf(sale.id)).mode, "redis");
  });
});
