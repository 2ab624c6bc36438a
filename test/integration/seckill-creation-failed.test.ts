// An admitted buyer whose order cannot be stored: he is told so, his unit is sold again, and those who were
// let in with him have their orders.
import assert from "node:assert/strict";
import type { Sale } from "../../services/contracts/seckill.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { startOwnRedis } from "../support/gate.ts";
import { assertInvariants } from "../support/invariants.ts";
import { type ShopNode, shopNode, type ShopUser } from "../support/order-shop.ts";
import {
  admitAll,
  buyPatiently,
  countBy,
  customers,
  openSale,
  SALE_SCHEMAS,
  SALE_UNITS,
  saleRows,
  whenQuiet,
} from "../support/sale-shop.ts";

/** An event that failed is delivered again after a second, then its orders are tried apart. */
const SETTLE_MS = 30_000;
const UNITS = 3;

describe("an admission whose order cannot be made", function () {
  this.timeout(60_000);
  let schemas: TestDatabase;
  let redis: Awaited<ReturnType<typeof startOwnRedis>>;
  let shop: ShopNode;

  before(async () => {
    schemas = await testDatabase({ services: SALE_SCHEMAS });
    redis = await startOwnRedis();
    shop = await shopNode(schemas, {
      units: SALE_UNITS,
      settings: { REDIS_URL: redis.redisUrl },
    });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SALE_SCHEMAS });
    await shop.stop();
    await redis.stop();
    await schemas.drop();
  });

  /** From now on the table takes no order of this buyer, except one that is over from its beginning. */
  async function refuseOrdersOf({ id }: ShopUser): Promise<void> {
    await schemas.admin.query(
      `ALTER TABLE ??.orders ADD CONSTRAINT ?? CHECK (user_id <> ? OR status = 'cancelled')`,
      [schemas.nameOf("order"), `no_orders_of_${id}`, id],
    );
  }

  async function gatedSale(): Promise<Sale> {
    const sale = await openSale(shop, { quantity: UNITS });
    await eventually(
      async () => {
        const query = "SELECT mode FROM sales WHERE id = ?";
        const [row] = await saleRows<{ mode: string }>(schemas, query, [sale.id]);
        return row?.mode === "redis";
      },
      { timeoutMs: SETTLE_MS, what: "the gate is open" },
    );
    return sale;
  }

  it("ends as a cancelled order, and its unit goes to somebody else", async () => {
    const sale = await gatedSale();
    const [unlucky, ...others] = customers(UNITS) as [ShopUser, ...ShopUser[]];
    await refuseOrdersOf(unlucky);
    const admissions = await admitAll(shop, sale.id, [unlucky, ...others]);
    const orderId = admissions[0]?.order_id;
    const told = await eventually(
      async () => {
        const mine = await shop.as(unlucky, "seckill.mine", { id: sale.id, explain: true });
        return mine.status === "cancelled" ? mine : undefined;
      },
      { timeoutMs: SETTLE_MS, what: "the buyer is told that there is no order for him" },
    );
    assert.deepEqual([told.order_id, told.reason], [orderId, "creation_failed"]);
    // It was promised, and so it is there, under the id that was promised.
    const order = await shop.as(unlucky, "order.get", { id: orderId ?? "" });
    assert.equal(order.status, "cancelled");
    for (const other of others) {
      const mine = await shop.as(other, "seckill.mine", { id: sale.id });
      assert.equal(mine.status, "pending_payment");
    }
    const [next, last] = customers(2) as [ShopUser, ShopUser];
    await eventually(
      async () => {
        const { story = [] } = await shop.as(unlucky, "seckill.mine", {
          id: sale.id,
          explain: true,
        });
        return story.some(({ what }) => what === "the unit was given back");
      },
      { timeoutMs: SETTLE_MS, what: "the unit is given back" },
    );
    await eventually(
      async () => countBy(await buyPatiently(shop, sale.id, [next]))["queued"] === 1,
      { timeoutMs: SETTLE_MS, what: "the unit is sold again" },
    );
    assert.deepEqual(countBy(await buyPatiently(shop, sale.id, [last])), { SECKILL_SOLD_OUT: 1 });
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual(
      [audit.live, audit.given_back, audit.remaining, audit.holds],
      [UNITS, 1, 0, true],
    );
    assert.deepEqual(audit.orders, { cancelled: 1, pending_payment: UNITS });
  });
});
