// Buyers of a sale without its gate: exactly its units are sold, one to a buyer, and every promise
// becomes an order, whatever dies in between.
import assert from "node:assert/strict";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import { call } from "../../services/contracts/actions.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import { SECKILL_FAILPOINTS } from "../../services/seckill/failpoints.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createFaults, type Faults } from "../support/faults.ts";
import { assertInvariants } from "../support/invariants.ts";
import {
  ADMIN,
  newCustomer,
  type ShopNode,
  shopNode,
  type ShopUser,
} from "../support/order-shop.ts";
import {
  admitAll,
  buyAs,
  buyPatiently,
  countBy,
  customers,
  openSale,
  SALE_SCHEMAS,
  SALE_UNITS,
  whenQuiet,
} from "../support/sale-shop.ts";

const SCHEMAS = [...SALE_SCHEMAS, "provider"] as const;
const SETTLE_MS = 15_000;
const CROWD = 500;
const UNITS = 50;

describe("a sale that the database admits to", function () {
  this.timeout(120_000);
  let schemas: TestDatabase;
  let shop: ShopNode;
  let faults: Faults;

  before(async () => {
    schemas = await testDatabase({ services: SCHEMAS });
    faults = createFaults();
    shop = await shopNode(schemas, {
      units: [...SALE_UNITS, "provider"],
      failpoint: faults.failpoint,
      settings: { PROVIDER_PORT: String(await findFreePort()) },
    });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SCHEMAS });
    await shop.stop();
    await schemas.drop();
  });

  const open = (changes: Parameters<typeof openSale>[1] = {}): Promise<Sale> =>
    openSale(shop, { strategy: "database", ...changes });
  const mine = (user: ShopUser, id: string) => shop.as(user, "seckill.mine", { id });
  const whenMine = (user: ShopUser, id: string, status: string): Promise<unknown> =>
    eventually(async () => (await mine(user, id)).status === status, {
      timeoutMs: SETTLE_MS,
      what: `the buyer's attempt is ${status}`,
    });

  it(`sells ${UNITS} units to exactly ${UNITS} of ${CROWD} buyers at once`, async () => {
    const sale = await open({ quantity: UNITS });
    const bought = await buyPatiently(shop, sale.id, customers(CROWD));
    const winners = bought.filter(({ orderId }) => orderId !== undefined);
    assert.equal(winners.length, UNITS, JSON.stringify(countBy(bought)));
    assert.equal(countBy(bought)["SECKILL_SOLD_OUT"], CROWD - UNITS);
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.remaining, audit.holds], [UNITS, 0, true]);
    assert.equal(audit.orders["pending_payment"], UNITS);
    for (const { user, orderId } of winners.slice(0, 5)) {
      const order = await shop.as(user, "order.get", { id: orderId ?? "" });
      assert.deepEqual([order.status, order.sale_id], ["pending_payment", sale.id]);
      assert.equal(order.total_price, 99);
    }
  });

  it("sells one to a buyer, however often and wherever he asks", async () => {
    const sale = await open();
    const buyer = newCustomer();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => buyAs(shop, sale.id, buyer)),
    );
    const ids = new Set(answers.flatMap(({ orderId }) => orderId ?? []));
    assert.equal(ids.size, 1);
    assert.equal(countBy(answers)["queued"], 1);
    const again = await buyAs(shop, sale.id, buyer);
    assert.deepEqual([again.answer, [again.orderId]], ["SECKILL_ALREADY_PURCHASED", [...ids]]);
    assert.equal((await whenQuiet(shop, sale.id)).live, 1);
  });

  it("opens at its start and not before", async () => {
    const starts = Date.now() + 700;
    const sale = await open({ start_at: new Date(starts).toISOString() });
    assert.equal(sale.status, "published");
    assert.equal((await buyAs(shop, sale.id, newCustomer())).answer, "SECKILL_NOT_STARTED");
    await eventually(async () => (await buyAs(shop, sale.id, newCustomer())).answer === "queued", {
      timeoutMs: 3_000,
      what: "the sale has started",
    });
    assert.ok(Date.now() >= starts);
  });

  it("goes through with winners whose commit failed, and shows the story", async () => {
    const sale = await open({ quantity: 3 });
    void faults.crashOnce(SECKILL_FAILPOINTS.admitAfterGate);
    const users = customers(3);
    const items = await admitAll(shop, sale.id, users);
    assert.equal(new Set(items.map(({ order_id }) => order_id)).size, 3);
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.holds], [3, true]);
    await whenMine(users[0]!, sale.id, "pending_payment");
    const { story = [] } = await shop.as(users[0]!, "seckill.mine", { id: sale.id, explain: true });
    assert.deepEqual(
      story.map(({ what }) => what),
      ["let into the sale", "the order is pending_payment"],
    );
  });

  it("tells a winner whose answer was lost after the commit his order", async () => {
    const sale = await open({ quantity: 1 });
    void faults.crashOnce(SECKILL_FAILPOINTS.admitAfterCommit);
    const buyer = newCustomer();
    const bought = await buyAs(shop, sale.id, buyer);
    assert.ok(bought.orderId !== undefined, bought.answer);
    assert.equal((await buyAs(shop, sale.id, newCustomer())).answer, "SECKILL_SOLD_OUT");
    assert.equal((await buyAs(shop, sale.id, buyer)).orderId, bought.orderId);
    assert.equal((await whenQuiet(shop, sale.id)).live, 1);
  });

  it("sells a unit again that its buyer gave back, and commits one that was paid", async () => {
    const sale = await open({ stock: 2, quantity: 2 });
    const [first, second, third] = customers(3) as [ShopUser, ShopUser, ShopUser];
    const [one, two] = [await buyAs(shop, sale.id, first), await buyAs(shop, sale.id, second)];
    assert.equal((await buyAs(shop, sale.id, third)).answer, "SECKILL_SOLD_OUT");
    await whenMine(second, sale.id, "pending_payment");
    await shop.as(first, "order.cancel", { id: one.orderId ?? "" });
    await eventually(async () => (await buyAs(shop, sale.id, third)).orderId !== undefined, {
      timeoutMs: SETTLE_MS,
      what: "the unit is sold again",
    });
    await whenMine(first, sale.id, "cancelled");
    await shop.capture(await shop.as(second, "order.pay", { id: two.orderId ?? "" }));
    await whenMine(second, sale.id, "paid");
    await eventually(async () => (await shop.stockOf(sale.sku_id)).on_hand === 1, {
      timeoutMs: SETTLE_MS,
      what: "the paid unit has left the house",
    });
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.given_back, audit.holds], [2, 1, true]);
    // The first one may try again: nothing is left, but he is not told that he has one.
    assert.equal((await buyAs(shop, sale.id, first)).answer, "SECKILL_SOLD_OUT");
  });

  it("returns a unit to the stock that is given back after the end", async () => {
    const sale = await open({ stock: 5, quantity: 2 });
    const buyer = newCustomer();
    const { orderId } = await buyAs(shop, sale.id, buyer);
    await whenMine(buyer, sale.id, "pending_payment");
    assert.equal((await shop.as(ADMIN, "seckill.close", { id: sale.id })).status, "closed");
    assert.equal((await shop.stockOf(sale.sku_id)).allotted, 1);
    await shop.as(buyer, "order.cancel", { id: orderId ?? "" });
    await eventually(async () => (await shop.stockOf(sale.sku_id)).available === 5, {
      timeoutMs: SETTLE_MS,
      what: "the unit is back in the stock",
    });
    const audit = await shop.as(ADMIN, "seckill.audit", { id: sale.id });
    assert.deepEqual([audit.live, audit.returned, audit.holds], [0, 2, true]);
  });

  it("tells a buyer whose commit found no unit left that he was refused", async () => {
    const sale = await open({ quantity: 1 });
    const users = customers(2);
    await admitAll(shop, sale.id, users);
    await whenQuiet(shop, sale.id);
    const told = await Promise.all(users.map((user) => mine(user, sale.id)));
    const refused = told.filter(({ status }) => status === "refused");
    assert.deepEqual(refused, [{ status: "refused", reason: "sold_out" }]);
  });

  it("answers what became of orders that nobody on this node knows", async () => {
    const sale = await open();
    const { orderId = "" } = await buyAs(shop, sale.id, newCustomer());
    const { items } = await call(shop.node.broker, "seckill.outcome", {
      sale_id: sale.id,
      order_ids: [orderId, "42"],
      wait_ms: 0,
    });
    assert.deepEqual(
      items.map(({ outcome }) => outcome),
      ["committed", "unknown"],
    );
  });
});
