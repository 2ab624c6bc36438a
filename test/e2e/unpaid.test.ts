// Orders that are not paid: cancelled by the buyer or by the clock, and money that comes too late.
import assert from "node:assert/strict";
import type { Order } from "../../services/contracts/order.ts";
import { API, openShop, type Shop } from "../support/shop.ts";

describe("unpaid orders", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });

  after(() => shop.expectInvariants());

  it("gives the stock back when the buyer cancels, once", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(4);
    const order = await shop.placed(buyer, skuId, 3);
    const cancelled = await buyer.post<Order>(`${API}/orders/${order.id}/cancel`);
    assert.equal(cancelled.status, 200);
    assert.ok(["closing", "cancelled"].includes(cancelled.data.status));
    await shop.whenOrder(buyer, order.id, "cancelled");
    const again = await buyer.post<Order>(`${API}/orders/${order.id}/cancel`);
    assert.equal(again.data.status, "cancelled");
    await shop.whenStock(skuId, { on_hand: 4, available: 4, reserved: 0 });
    const refused = await buyer.post(`${API}/orders/${order.id}/pay`);
    assert.equal(refused.status, 409);
  });

  it("refuses to cancel what is paid", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(1);
    const order = await shop.placed(buyer, skuId);
    await shop.paid(buyer, order.id);
    const refused = await buyer.post(`${API}/orders/${order.id}/cancel`);
    assert.equal(refused.status, 409);
    assert.equal(refused.body.error, "ORDER_ILLEGAL_TRANSITION");
  });

  it("cancels at the deadline, releases the stock and sells it again", async () => {
    const [slow, quick] = [await shop.customer(), await shop.customer()];
    const { skuId } = await shop.product(1);
    const order = await shop.placed(slow, skuId);
    const soldOut = await shop.order(quick, skuId);
    assert.equal(soldOut.status, 409);
    assert.deepEqual(soldOut.body.details, { sku_ids: [skuId] });
    await shop.whenOrder(slow, order.id, "cancelled");
    await shop.whenStock(skuId, { available: 1, reserved: 0 });
    await shop.placed(quick, skuId);
  });

  it("refunds by itself what is paid after the deadline", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(2, 700);
    const order = await shop.placed(buyer, skuId);
    const payment = await shop.openPayment(buyer, order.id);
    await shop.whenOrder(buyer, order.id, "cancelled");
    assert.equal((await shop.callback(payment)).status, 204);
    const refunded = await shop.whenPayment(buyer, payment.id, "refunded");
    assert.equal(refunded.refunded_amount, 700);
    assert.equal((await buyer.get<Order>(`${API}/orders/${order.id}`)).data.status, "cancelled");
    await shop.whenStock(skuId, { on_hand: 2, available: 2, reserved: 0 });
  });
});
