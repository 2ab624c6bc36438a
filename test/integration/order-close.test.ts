import assert from "node:assert/strict";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import type { Order } from "../../services/contracts/order.ts";
import { ORDER_FAILPOINTS } from "../../services/order/failpoints.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { endLeases } from "../support/leases.ts";
import { createFaults, type Faults } from "../support/faults.ts";
import { assertInvariants } from "../support/invariants.ts";
import {
  ADMIN,
  newCustomer,
  type ShopNode,
  type ShopUser,
  shopNode,
  TRADE_UNITS,
} from "../support/order-shop.ts";

const END_MS = 10_000;
const WINDOW_MS = 1_000;

const SCHEMAS = ["user", "product", "inventory", "order", "payment", "provider"] as const;

describe("an order that is not paid", () => {
  let schemas: TestDatabase;
  let patient: ShopNode;
  /** A second node of the same platform, where orders expire after WINDOW_MS. */
  let hasty: ShopNode;
  let faults: Faults;
  let providerPort: string;
  let buyer: ShopUser;
  let skuId: string;

  before(async () => {
    schemas = await testDatabase({ services: SCHEMAS });
    faults = createFaults();
    providerPort = String(await findFreePort());
    const settings = { PROVIDER_PORT: providerPort };
    patient = await shopNode(schemas, {
      units: TRADE_UNITS,
      failpoint: faults.failpoint,
      settings,
    });
    hasty = await shopNode(schemas, {
      units: TRADE_UNITS,
      failpoint: faults.failpoint,
      settings: { ...settings, ORDER_PAYMENT_WINDOW_MS: String(WINDOW_MS) },
    });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SCHEMAS });
    await hasty.stop();
    await patient.stop();
    await schemas.drop();
  });
  beforeEach(async () => {
    buyer = newCustomer();
    skuId = await patient.sell(100);
  });

  const placeAt = (shop: ShopNode): Promise<Order> =>
    shop.place(buyer, [{ sku_id: skuId, quantity: 1 }]);
  const ends = (id: string, status: Order["status"]): Promise<Order> =>
    eventually(
      async () => {
        const found = await patient.as(ADMIN, "order.get", { id });
        return found.status === status && found;
      },
      { timeoutMs: END_MS, what: `order ${id} is ${status}` },
    );
  const isReleased = (): Promise<unknown> =>
    eventually(async () => (await patient.stockOf(skuId)).reserved === 0, {
      timeoutMs: END_MS,
      what: "the stock is released",
    });
  const historyOf = async (id: string): Promise<string[]> => {
    const rows = await patient.node.database("order").rows<{ to_status: string }>(
      {
        name: "test.history",
        sql: "SELECT to_status FROM order_events WHERE order_id = ? ORDER BY version",
      },
      [id],
    );
    return rows.map((row) => row.to_status);
  };

  it("is cancelled by its buyer, and only once", async () => {
    const order = await placeAt(patient);
    const cancelled = await patient.as(buyer, "order.cancel", { id: order.id });
    assert.deepEqual(
      [cancelled.status, cancelled.cancel_reason],
      ["cancelled", "cancelled_by_buyer"],
    );
    assert.deepEqual(await patient.as(buyer, "order.cancel", { id: order.id }), cancelled);
    assert.deepEqual(await historyOf(order.id), [
      "placing",
      "pending_payment",
      "closing",
      "cancelled",
    ]);
    await isReleased();
    await assert.rejects(patient.as(buyer, "order.pay", { id: order.id }), (error) =>
      isPlatformError(error, "ORDER_ILLEGAL_TRANSITION"),
    );
  });

  it("is not there for another buyer who would cancel, pay or complete it", async () => {
    const order = await placeAt(patient);
    const stranger = newCustomer();
    for (const action of ["order.cancel", "order.pay", "order.complete"] as const) {
      await assert.rejects(patient.as(stranger, action, { id: order.id }), (error) =>
        isPlatformError(error, "ORDER_NOT_FOUND"),
      );
    }
    assert.deepEqual(await historyOf(order.id), ["placing", "pending_payment"]);
    const cancelled = await patient.as(ADMIN, "order.cancel", { id: order.id });
    assert.equal(cancelled.cancel_reason, "cancelled_by_admin");
  });

  it("is cancelled at its deadline by one of several nodes, and only once", async () => {
    const orders = await Promise.all(Array.from({ length: 60 }, () => placeAt(hasty)));
    const ended = await Promise.all(orders.map(({ id }) => ends(id, "cancelled")));
    for (const order of ended) {
      assert.equal(order.cancel_reason, "payment_timeout");
      assert.ok(Date.parse(order.updated_at) >= Date.parse(order.expires_at), "never too early");
      assert.deepEqual((await historyOf(order.id)).slice(2), ["closing", "cancelled"]);
    }
    await isReleased();
    const told = await patient.node.database("order").row<{ events: string; orders: string }>(
      {
        name: "test.events",
        sql: `SELECT COUNT(*) AS events, COUNT(DISTINCT aggregate_id) AS orders FROM outbox
              WHERE name = 'order.cancelled.v1' AND aggregate_id IN (?)`,
      },
      [orders.map(({ id }) => id)],
    );
    assert.deepEqual({ ...told }, { events: "60", orders: "60" });
  });

  for (const spot of [
    ORDER_FAILPOINTS.closeAfterStart,
    ORDER_FAILPOINTS.closeAfterPayments,
    ORDER_FAILPOINTS.closeAfterEnd,
  ]) {
    it(`is cancelled although the node that closes it dies (${spot})`, async () => {
      const crashed = faults.crashOnce(spot);
      const order = await placeAt(hasty);
      await crashed;
      await endLeases(schemas);
      await ends(order.id, "cancelled");
      assert.deepEqual((await historyOf(order.id)).slice(2), ["closing", "cancelled"]);
      await isReleased();
    });
  }

  it("stays closing while the provider does not answer, and ends when it is back", async () => {
    const provider = await shopNode(schemas, {
      units: ["provider"],
      settings: { PROVIDER_PORT: providerPort },
    });
    const order = await placeAt(patient);
    await patient.as(buyer, "order.pay", { id: order.id });
    await provider.stop();
    const closing = await patient.as(buyer, "order.cancel", { id: order.id });
    assert.deepEqual([closing.status, closing.cancel_reason], ["closing", null]);
    assert.equal((await patient.stockOf(skuId)).reserved, 1);
    const back = await shopNode(schemas, {
      units: ["provider"],
      settings: { PROVIDER_PORT: providerPort },
    });
    await endLeases(schemas);
    const ended = await ends(order.id, "cancelled");
    assert.equal(ended.cancel_reason, "cancelled_by_buyer");
    await isReleased();
    await back.stop();
  });

  it("is paid or cancelled, never both, when money and cancel come at once", async () => {
    const provider = await shopNode(schemas, {
      units: ["provider"],
      settings: { PROVIDER_PORT: providerPort },
    });
    const orders = await Promise.all(Array.from({ length: 8 }, () => placeAt(patient)));
    const ended = await Promise.all(
      orders.map(async ({ id }) => {
        const payment = await patient.as(buyer, "order.pay", { id });
        const [, cancel] = await Promise.allSettled([
          patient.capture(payment),
          patient.as(buyer, "order.cancel", { id }),
        ]);
        if (cancel.status === "rejected") {
          assert.ok(isPlatformError(cancel.reason, "ORDER_ILLEGAL_TRANSITION"));
        }
        return await eventually(
          async () => {
            const order = await patient.as(buyer, "order.get", { id });
            const { status } = await patient.as(buyer, "payment.get", { id: payment.id });
            const isKept = order.status === "paid" && status === "succeeded";
            const isGivenBack =
              order.status === "cancelled" && (status === "closed" || status === "refunded");
            return (isKept || isGivenBack) && order.status;
          },
          { timeoutMs: END_MS, what: "order and payment agree" },
        );
      }),
    );
    const paid = ended.filter((status) => status === "paid").length;
    await eventually(
      async () => {
        const stock = await patient.stockOf(skuId);
        return stock.reserved === 0 && stock.on_hand === 100 - paid;
      },
      { timeoutMs: END_MS, what: "what was paid has left the house, the rest is released" },
    );
    await provider.stop();
  });
});
