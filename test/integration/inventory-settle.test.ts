// What the ends of orders do to stock, through the consumers' own functions on a real database.
import assert from "node:assert/strict";
import type { EventConsumer } from "../../mixins/channels/channel.ts";
import type { EventName, EventPayload } from "../../services/contracts/events.ts";
import { inventoryConsumers } from "../../services/inventory/inventory.worker.ts";
import { must } from "../../services/kernel/assert.ts";
import { type InventoryNode, inventoryNode, newId, open, stockOf } from "../support/inventory.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

type OrderEventName = "order.paid.v1" | "order.cancelled.v1" | "order.refunded.v1";

interface OrderFact {
  readonly orderId: string;
  readonly lines: readonly { skuId: string; quantity: number }[];
  readonly saleId?: string;
}

describe("orders' events in the inventory", () => {
  let schemas: TestDatabase;
  let node: InventoryNode;
  let consumers: readonly EventConsumer[];
  const returned: string[] = [];

  before(async () => {
    schemas = await testDatabase({ services: ["inventory"] });
    node = await inventoryNode(schemas);
    consumers = inventoryConsumers((skuIds) => {
      returned.push(...skuIds);
      return Promise.resolve();
    });
  });
  after(async () => {
    await node.close();
    await schemas.drop();
  });

  async function deliver<Name extends EventName>(
    name: Name,
    ...payloads: EventPayload<Name>[]
  ): Promise<void> {
    const definition = must(
      consumers.find(({ event }) => event === name),
      name,
    );
    const events = payloads.map((payload) => ({
      id: `order.${newId()}`,
      name,
      aggregateId: "1",
      aggregateVersion: 1,
      payload,
      occurredAt: new Date(),
    }));
    await node.database.transaction("test.consume", (tx) => definition.apply(tx, events));
    await definition.committed?.(events);
  }

  function payloadOf(order: OrderFact): EventPayload<OrderEventName> {
    return {
      order_id: order.orderId,
      user_id: "1",
      sale_id: order.saleId ?? null,
      payment_id: "1",
      total_price: 100,
      reason: "test",
      lines: order.lines.map(({ skuId, quantity }) => ({ sku_id: skuId, quantity, price: 100 })),
    };
  }

  const deliverOrders = (name: OrderEventName, ...orders: OrderFact[]): Promise<void> =>
    deliver<OrderEventName>(name, ...orders.map(payloadOf));

  async function held(
    quantities: readonly number[],
  ): Promise<{ sku: string; orders: OrderFact[] }> {
    const sku = newId();
    await open(node.database, { skuId: sku, quantity: 10 });
    const orders = quantities.map((quantity) => ({
      orderId: newId(),
      lines: [{ skuId: sku, quantity }],
    }));
    for (const order of orders) await node.reserver.reserve(order.orderId, order.lines);
    return { sku, orders };
  }

  async function bucketsOf(sku: string): Promise<number[]> {
    const { available, reserved, allotted } = await stockOf(node.database, sku);
    return [available, reserved, allotted];
  }

  it("takes paid units out of the house, many orders in one transaction", async () => {
    const { sku, orders } = await held([2, 3, 1]);
    await deliverOrders("order.paid.v1", ...orders);
    assert.deepEqual(await bucketsOf(sku), [4, 0, 0]);
  });

  it("gives cancelled units back and says which SKUs have units again", async () => {
    const { sku, orders } = await held([2, 3]);
    returned.length = 0;
    await deliverOrders("order.cancelled.v1", ...orders);
    assert.deepEqual(await bucketsOf(sku), [10, 0, 0]);
    assert.deepEqual(returned, [sku]);
  });

  it("applies an event that comes again only once", async () => {
    const { sku, orders } = await held([2, 3]);
    const [paid, cancelled] = orders as [OrderFact, OrderFact];
    for (let time = 0; time < 3; time += 1) {
      await deliverOrders("order.paid.v1", paid, paid);
      await deliverOrders("order.cancelled.v1", cancelled);
    }
    assert.deepEqual(await bucketsOf(sku), [8, 0, 0]);
    for (let time = 0; time < 3; time += 1) await deliverOrders("order.refunded.v1", paid, paid);
    assert.deepEqual(await bucketsOf(sku), [10, 0, 0]);
  });

  it("comes to the same stock when the refund overtakes the payment", async () => {
    const { sku, orders } = await held([4]);
    await deliverOrders("order.refunded.v1", ...orders);
    await deliverOrders("order.paid.v1", ...orders);
    assert.deepEqual(await bucketsOf(sku), [10, 0, 0]);
  });

  it("refuses a payment for units that were released, and writes nothing of that batch", async () => {
    const { sku, orders } = await held([2, 3]);
    const [cancelled, other] = orders as [OrderFact, OrderFact];
    await deliverOrders("order.cancelled.v1", cancelled);
    await assert.rejects(deliverOrders("order.paid.v1", other, cancelled), {
      type: "ORDER_ILLEGAL_TRANSITION",
    });
    assert.deepEqual(await bucketsOf(sku), [7, 3, 0]);
  });

  it("leaves a tombstone for a cancelled order that never reserved", async () => {
    const sku = newId();
    const order = { orderId: newId(), lines: [{ skuId: sku, quantity: 1 }] };
    await open(node.database, { skuId: sku, quantity: 1 });
    await deliverOrders("order.cancelled.v1", order);
    await assert.rejects(node.reserver.reserve(order.orderId, order.lines), {
      type: "ORDER_ILLEGAL_TRANSITION",
    });
    assert.deepEqual(await bucketsOf(sku), [1, 0, 0]);
  });

  it("books a flash order from its allotment and leaves its cancellation to the sale", async () => {
    const sku = newId();
    await open(node.database, { skuId: sku, quantity: 10 });
    await schemas.admin.query(
      `UPDATE ${schemas.nameOf("inventory")}.stock SET available = 4, allotted = 6 WHERE sku_id = ?`,
      [sku],
    );
    const order = { orderId: newId(), saleId: "77", lines: [{ skuId: sku, quantity: 1 }] };
    const cancelled = { ...order, orderId: newId() };
    await deliverOrders("order.cancelled.v1", cancelled);
    await deliverOrders("order.paid.v1", order);
    await deliverOrders("order.paid.v1", order);
    assert.deepEqual(await bucketsOf(sku), [4, 0, 5]);
    await deliverOrders("order.refunded.v1", order);
    assert.deepEqual(await bucketsOf(sku), [5, 0, 5]);
  });

  it("opens new SKUs once, whoever tells of them and however often", async () => {
    const [full, empty] = [newId(), newId()];
    const payload = {
      product_id: "1",
      skus: [
        { sku_id: full, stock: 7 },
        { sku_id: empty, stock: 0 },
      ],
    };
    await Promise.all([
      deliver("product.created.v1", payload, payload),
      open(node.database, { skuId: full, quantity: 7 }),
    ]);
    await deliver("product.created.v1", payload);
    assert.deepEqual(await bucketsOf(full), [7, 0, 0]);
    assert.deepEqual(await bucketsOf(empty), [0, 0, 0]);
    assert.ok((await stockOf(node.database, empty)).version > 0);
  });

  it("may add to the ledger but never change or delete it", async () => {
    const { sku } = await held([1]);
    for (const text of [
      `UPDATE stock_movements SET reason = 'x' WHERE sku_id = ${sku}`,
      `DELETE FROM stock_movements WHERE sku_id = ${sku}`,
      `DELETE FROM reservation_lines WHERE sku_id = ${sku}`,
    ]) {
      await assert.rejects(node.database.run({ name: "test.forbidden", sql: text }), {
        number: 1142,
      });
    }
  });
});
