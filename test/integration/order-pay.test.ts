import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import { call } from "../../services/contracts/actions.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import type { Order } from "../../services/contracts/order.ts";
import { ORDER_FAILPOINTS } from "../../services/order/failpoints.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
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

const EVENT_MS = 8_000;

const SCHEMAS = ["user", "product", "inventory", "order", "payment", "provider"] as const;

describe("paying for an order", () => {
  let schemas: TestDatabase;
  let shop: ShopNode;
  let faults: Faults;
  let buyer: ShopUser;
  let skuId: string;
  let order: Order;

  before(async () => {
    schemas = await testDatabase({ services: SCHEMAS });
    faults = createFaults();
    shop = await shopNode(schemas, {
      units: [...TRADE_UNITS, "provider"],
      failpoint: faults.failpoint,
      settings: { PROVIDER_PORT: String(await findFreePort()) },
    });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SCHEMAS });
    await shop.stop();
    await schemas.drop();
  });
  beforeEach(async () => {
    buyer = newCustomer();
    skuId = await shop.sell(5, 400);
    order = await shop.place(buyer, [{ sku_id: skuId, quantity: 2 }]);
  });

  const becomes = async (status: Order["status"], id = order.id): Promise<Order> =>
    await eventually(
      async () => {
        const found = await shop.as(ADMIN, "order.get", { id });
        return found.status === status && found;
      },
      { timeoutMs: EVENT_MS, what: `the order is ${status}` },
    );
  const stockBecomes = (onHand: number, reserved: number): Promise<unknown> =>
    eventually(
      async () => {
        const stock = await shop.stockOf(skuId);
        return stock.on_hand === onHand && stock.reserved === reserved;
      },
      { timeoutMs: EVENT_MS, what: `${onHand} on hand, ${reserved} reserved` },
    );
  const pay = () => shop.as(buyer, "order.pay", { id: order.id });
  const payHeaders = (key: string, route: string, fingerprint = "a".repeat(64)) => ({
    idempotency_key: key,
    idempotency_route: route,
    idempotency_fingerprint: fingerprint,
  });

  /** Has every payment's success delivered again. */
  const republishPayments = async (): Promise<void> => {
    const database = shop.node.database("payment");
    const read = (sql: string) => ({ name: "test.outbox", sql });
    const events = await database.rows<{ id: string }>(
      read("SELECT id FROM outbox WHERE name = 'payment.succeeded.v1'"),
    );
    const ids = events.map(({ id }) => id);
    const { republished } = await call(shop.node.broker, "payment-worker.republish", {
      outbox_ids: ids,
    });
    assert.equal(republished, ids.length);
    await eventually(
      async () => {
        const row = await database.row<{ waiting: string }>(
          read("SELECT COUNT(*) AS waiting FROM outbox WHERE published_at IS NULL"),
        );
        return row?.waiting === "0";
      },
      { timeoutMs: EVENT_MS, what: "all events are published again" },
    );
  };

  it("takes a buyer from the order to its delivery", async () => {
    const payment = await pay();
    assert.deepEqual(
      [payment.order_id, payment.amount, payment.status],
      [order.id, order.total_price, "pending"],
    );
    await shop.capture(payment);
    const paid = await becomes("paid");
    assert.ok(paid.paid_at !== null);
    await stockBecomes(3, 0);
    assert.equal((await shop.as(ADMIN, "order.ship", { id: order.id })).status, "shipped");
    assert.equal((await shop.as(buyer, "order.complete", { id: order.id })).status, "completed");
  });

  it("answers the open payment to a second call, by either route", async () => {
    const payment = await pay();
    assert.equal((await pay()).id, payment.id);
    const again = await shop.as(buyer, "order.payByPayment", {
      order_id: order.id,
      channel: "mock",
    });
    assert.equal(again.id, payment.id);
  });

  it("gives the first answer of a key again and refuses the key for another order", async () => {
    const route = "POST /payments";
    const key = randomUUID();
    const params = { order_id: order.id, channel: "mock" } as const;
    const payment = await shop.as(buyer, "order.payByPayment", params, payHeaders(key, route));
    await shop.capture(payment);
    await becomes("paid");
    assert.deepEqual(
      await shop.as(buyer, "order.payByPayment", params, payHeaders(key, route)),
      payment,
    );
    await assert.rejects(
      shop.as(buyer, "order.payByPayment", params, payHeaders(key, route, "b".repeat(64))),
      (error) => isPlatformError(error, "IDEMPOTENCY_KEY_REUSED"),
    );
  });

  it("answers the same payment when its node died before the key was written", async () => {
    const headers = payHeaders(randomUUID(), "POST /orders/:id/pay");
    const crashed = faults.crashOnce(ORDER_FAILPOINTS.payAfterCreate);
    await assert.rejects(shop.as(buyer, "order.pay", { id: order.id }, headers));
    await crashed;
    const payment = await shop.as(buyer, "order.pay", { id: order.id }, headers);
    assert.equal((await pay()).id, payment.id);
  });

  it("cannot be done twice, nor undone by cancelling", async () => {
    await shop.capture(await pay());
    await becomes("paid");
    for (const action of ["order.pay", "order.cancel"] as const) {
      await assert.rejects(shop.as(buyer, action, { id: order.id }), (error) =>
        isPlatformError(error, "ORDER_ILLEGAL_TRANSITION"),
      );
    }
  });

  it("is booked once when the provider repeats itself and events are published again", async () => {
    const payment = await pay();
    const webhookId = randomUUID();
    await Promise.all([1, 2, 3].map(() => shop.capture(payment, webhookId)));
    await becomes("paid");
    await shop.capture(payment);
    await stockBecomes(3, 0);
    await republishPayments();
    // Behind the repetitions in the same stream: when it is applied, they have been.
    const next = await shop.place(buyer, [{ sku_id: skuId, quantity: 1 }]);
    await shop.capture(await shop.as(buyer, "order.pay", { id: next.id }));
    await becomes("paid", next.id);
    await stockBecomes(2, 0);
    const paidEvents = await shop.node.database("order").rows(
      {
        name: "test.outbox",
        sql: "SELECT id FROM outbox WHERE aggregate_id = ? AND name = 'order.paid.v1'",
      },
      [order.id],
    );
    assert.equal(paidEvents.length, 1);
  });

  it("adds partial refunds and ends as refunded when all is given back before shipping", async () => {
    const payment = await pay();
    await shop.capture(payment);
    await becomes("paid");
    await stockBecomes(3, 0);
    const refund = (amount?: number) =>
      shop.as(
        ADMIN,
        "payment.refund",
        { id: payment.id, reason: "broken", ...(amount === undefined ? {} : { amount }) },
        payHeaders(randomUUID(), "POST /payments/:id/refund"),
      );
    await refund(100);
    await eventually(
      async () => (await shop.as(buyer, "order.get", { id: order.id })).refunded_amount === 100,
      { timeoutMs: EVENT_MS, what: "the partial refund shows" },
    );
    assert.equal((await shop.as(buyer, "order.get", { id: order.id })).status, "paid");
    await refund();
    assert.equal((await becomes("refunded")).refunded_amount, order.total_price);
    await stockBecomes(5, 0);
    await assert.rejects(shop.as(ADMIN, "order.ship", { id: order.id }), (error) =>
      isPlatformError(error, "ORDER_ILLEGAL_TRANSITION"),
    );
  });
});
