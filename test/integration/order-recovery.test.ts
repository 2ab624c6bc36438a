import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { ORDER_FAILPOINTS } from "../../services/order/failpoints.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { endLeases } from "../support/leases.ts";
import { createFaults, type Faults } from "../support/faults.ts";
import { assertInvariants } from "../support/invariants.ts";
import { newCustomer, type ShopNode, type ShopUser, shopNode } from "../support/order-shop.ts";

const SCHEMAS = ["user", "product", "inventory", "order", "payment"] as const;
const UNITS = [...SCHEMAS, "order-worker"] as const;
const RECOVERY_MS = 5_000;

describe("an order whose node dies while it is placed", () => {
  let schemas: TestDatabase;
  let shop: ShopNode;
  let faults: Faults;
  let buyer: ShopUser;
  let items: { sku_id: string; quantity: number }[];
  let key: string;

  before(async () => {
    schemas = await testDatabase({ services: SCHEMAS });
    faults = createFaults();
    shop = await shopNode(schemas, { units: UNITS, failpoint: faults.failpoint });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: ["inventory", "order"] });
    await shop.stop();
    await schemas.drop();
  });
  beforeEach(async () => {
    buyer = newCustomer();
    items = [{ sku_id: await shop.sell(5), quantity: 2 }];
    key = randomUUID();
  });

  const statusOf = async (): Promise<{ status: string; saga: string }[]> =>
    await shop.node.database("order").rows(
      {
        name: "test.read",
        sql: `SELECT orders.status AS status, sagas.status AS saga
              FROM orders JOIN sagas USING (id) WHERE user_id = ?`,
      },
      [buyer.id],
    );
  const reserved = async (): Promise<number> => (await shop.stockOf(items[0]!.sku_id)).reserved;
  const recovered = (): Promise<unknown> =>
    eventually(
      async () => {
        const [order] = await statusOf();
        return order?.status === "failed" && order.saga === "compensated";
      },
      { timeoutMs: RECOVERY_MS, what: "the lost placing is given up and compensated" },
    );

  for (const spot of [ORDER_FAILPOINTS.placeAfterBegin, ORDER_FAILPOINTS.placeAfterReserve]) {
    it(`is given up, its stock released and its key free again (${spot})`, async () => {
      void faults.crashOnce(spot);
      await assert.rejects(shop.place(buyer, items, key));
      assert.equal((await statusOf())[0]?.status, "placing");
      await assert.rejects(shop.place(buyer, items, key), (error) =>
        isPlatformError(error, "IDEMPOTENCY_IN_PROGRESS"),
      );
      await endLeases(schemas);
      await recovered();
      assert.equal(await reserved(), 0);
      const order = await shop.place(buyer, items, key);
      assert.equal(order.status, "pending_payment");
      assert.equal(await reserved(), 2);
      assert.equal((await shop.as(buyer, "order.list", {})).total, 1);
    });
  }

  for (const spot of [ORDER_FAILPOINTS.placeAfterAbandon, ORDER_FAILPOINTS.placeAfterRelease]) {
    it(`is compensated although the node that helps dies as well (${spot})`, async () => {
      void faults.crashOnce(ORDER_FAILPOINTS.placeAfterReserve);
      await assert.rejects(shop.place(buyer, items, key));
      const crashed = faults.crashOnce(spot);
      await endLeases(schemas);
      await crashed;
      await endLeases(schemas);
      await recovered();
      assert.equal(await reserved(), 0);
    });
  }

  it("answers the order to the buyer's retry when only the answer was lost", async () => {
    void faults.crashOnce(ORDER_FAILPOINTS.placeAfterConfirm);
    await assert.rejects(shop.place(buyer, items, key));
    const order = await shop.place(buyer, items, key);
    assert.deepEqual(await shop.as(buyer, "order.get", { id: order.id }), order);
    assert.equal(await reserved(), 2);
  });

  for (const spot of [ORDER_FAILPOINTS.placeAfterBegin, ORDER_FAILPOINTS.placeAfterReserve]) {
    it(`stays given up when its node was only paused and wakes up (${spot})`, async () => {
      const paused = faults.pauseOnce(spot);
      const late = shop.place(buyer, items, key).catch((error: unknown) => error);
      await paused.reached;
      await endLeases(schemas);
      await recovered();
      paused.resume();
      assert.ok(isPlatformError(await late, "SERVICE_UNAVAILABLE"));
      assert.deepEqual(await statusOf(), [{ status: "failed", saga: "compensated" }]);
      assert.equal(await reserved(), 0);
    });
  }
});
