// Events that nobody consumes: above a limit new work is refused with 503 and nothing is lost; when the
// consumers are back and half is worked off, it is taken on again.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { assertInvariants } from "../support/invariants.ts";
import { newCustomer, type ShopNode, shopNode, type ShopUser } from "../support/order-shop.ts";
import {
  type Bought,
  buyAs,
  openSale,
  SALE_SCHEMAS,
  SALE_UNITS,
  whenQuiet,
} from "../support/sale-shop.ts";

const SETTLE_MS = 30_000;
const BACKLOG_MAX = 3;
/** Longer than the count of a backlog needs to be noticed, whatever the machine does. */
const BUYERS_MAX = 2_000;

describe("a backlog of events", function () {
  this.timeout(120_000);
  let schemas: TestDatabase;
  let shop: ShopNode;
  let worker: ShopNode | undefined;

  before(async () => {
    schemas = await testDatabase({ services: SALE_SCHEMAS });
    shop = await shopNode(schemas, {
      units: SALE_UNITS.filter((unit) => unit !== "order-worker"),
      settings: {
        SECKILL_BACKLOG_MAX: String(BACKLOG_MAX),
        ORDER_BACKLOG_MAX: String(BACKLOG_MAX),
      },
    });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SALE_SCHEMAS });
    await worker?.stop();
    await shop.stop();
    await schemas.drop();
  });

  it("stops buying and placing until its consumers are back", async () => {
    const sale = await openSale(shop, {
      quantity: BUYERS_MAX,
      stock: BUYERS_MAX,
      strategy: "database",
    });
    const skuId = await shop.sell(BUYERS_MAX);
    const place = (user: ShopUser, key: string) =>
      shop.place(user, [{ sku_id: skuId, quantity: 1 }], key);
    const isOverloaded = (error: unknown): boolean => isPlatformError(error, "OVERLOADED");

    const first = { user: newCustomer(), key: randomUUID() };
    const placed = await place(first.user, first.key);
    let isPlacingRefused = false;
    for (let orders = 1; orders < BUYERS_MAX && !isPlacingRefused; orders += 1) {
      isPlacingRefused = await place(newCustomer(), randomUUID()).then(() => false, isOverloaded);
    }
    assert.ok(isPlacingRefused, "placing goes on with a growing backlog");

    const bought: Bought[] = [];
    while (bought.length < BUYERS_MAX && bought.at(-1)?.answer !== "OVERLOADED") {
      bought.push(await buyAs(shop, sale.id, newCustomer()));
    }
    assert.equal(bought.at(-1)?.answer, "OVERLOADED", "buying goes on with a growing backlog");
    const promised = bought.filter(({ orderId }) => orderId !== undefined);
    assert.ok(promised.length > BACKLOG_MAX);

    // Who has placed an order with this key is told it again.
    assert.equal((await place(first.user, first.key)).id, placed.id);

    worker = await shopNode(schemas, { units: ["order-worker"] });
    await eventually(async () => (await buyAs(shop, sale.id, newCustomer())).answer === "queued", {
      timeoutMs: SETTLE_MS,
      what: "buying goes on",
      intervalMs: 100,
    });
    await eventually(
      async () => {
        const refused = await place(newCustomer(), randomUUID()).then(() => false, isOverloaded);
        return !refused;
      },
      { timeoutMs: SETTLE_MS, what: "placing goes on", intervalMs: 100 },
    );
    const audit = await whenQuiet(shop, sale.id);
    assert.deepEqual([audit.live, audit.holds], [promised.length + 1, true]);
    for (const { user, orderId = "" } of promised) {
      assert.equal((await shop.as(user, "order.get", { id: orderId })).id, orderId);
    }
  });
});
