// The main journey: from a registration to a paid order, and the money back.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Order } from "../../services/contracts/order.ts";
import type { Payment } from "../../services/contracts/payment.ts";
import { API, openShop, type ProductView, type Shop } from "../support/shop.ts";

describe("buy and pay", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });

  after(() => shop.expectInvariants());

  it("takes a customer from browsing to a paid order", async () => {
    const buyer = await shop.customer();
    const { product, skuId } = await shop.product(10, 2_500);
    const seen = await buyer.get<ProductView>(`${API}/products/${product.id}`);
    assert.equal(seen.data.skus[0]?.available, 10);

    const prepared = await buyer.post<{ total_price: number }>(`${API}/orders/prepare`, {
      items: [{ sku_id: skuId, quantity: 2 }],
    });
    assert.equal(prepared.data.total_price, 5_000);

    const order = await shop.placed(buyer, skuId, 2);
    assert.equal(order.status, "pending_payment");
    assert.equal(order.total_price, 5_000);
    assert.deepEqual(
      order.items.map(({ sku_id, quantity, price }) => ({ sku_id, quantity, price })),
      [{ sku_id: skuId, quantity: 2, price: 2_500 }],
    );
    assert.deepEqual(await reserved(skuId), { on_hand: 10, reserved: 2, available: 8 });

    const payment = await shop.paid(buyer, order.id);
    assert.equal(payment.amount, 5_000);
    await shop.whenStock(skuId, { on_hand: 8, reserved: 0, available: 8 });
    await shop.whenPayment(buyer, payment.id, "succeeded");

    const shipped = await shop.admin.post<Order>(`${API}/orders/${order.id}/ship`);
    assert.equal(shipped.data.status, "shipped");
    const completed = await buyer.post<Order>(`${API}/orders/${order.id}/complete`);
    assert.equal(completed.data.status, "completed");
  });

  async function reserved(skuId: string) {
    const { on_hand, reserved: held, available } = await shop.stock(skuId);
    return { on_hand, reserved: held, available };
  }

  it("never uses a price the client sends", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(1, 900);
    const refused = await buyer.create(`${API}/orders`, {
      items: [{ sku_id: skuId, quantity: 1, price: 1 }],
    });
    assert.equal(refused.status, 422);
    assert.equal((await shop.placed(buyer, skuId)).total_price, 900);
  });

  it("makes one order of a double click", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(5);
    const body = { items: [{ sku_id: skuId, quantity: 1 }] };
    const key = randomUUID();
    const clicks = await Promise.all(
      Array.from({ length: 10 }, () => buyer.send<Order>("POST", `${API}/orders`, { body, key })),
    );
    const ids = new Set(clicks.filter(({ status }) => status === 201).map(({ data }) => data.id));
    assert.equal(ids.size, 1);
    assert.ok(clicks.every(({ status }) => status === 201 || status === 409));

    const later = await buyer.send<Order>("POST", `${API}/orders`, { body, key });
    assert.equal(later.status, 201);
    assert.equal(later.headers["idempotency-replayed"], "true");
    assert.ok(ids.has(later.data.id));
    const other = { items: [{ sku_id: skuId, quantity: 2 }] };
    const reused = await buyer.send("POST", `${API}/orders`, { body: other, key });
    assert.equal(reused.body.error, "IDEMPOTENCY_KEY_REUSED");
    assert.equal((await shop.stock(skuId)).reserved, 1);
  });

  it("answers the open payment to a second call", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(1);
    const order = await shop.placed(buyer, skuId);
    const first = await shop.openPayment(buyer, order.id);
    const second = await buyer.create<Payment>(`${API}/payments`, {
      order_id: order.id,
      channel: "mock",
    });
    assert.equal(second.status, 201);
    assert.equal(second.data.id, first.id);
  });

  it("gives money back, never more than was captured, and restocks what was not shipped", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(3, 1_000);
    const order = await shop.placed(buyer, skuId, 2);
    const payment = await shop.paid(buyer, order.id);
    const path = `${API}/payments/${payment.id}/refund`;

    const part = await shop.admin.create(path, { amount: 500, reason: "a scratch" });
    assert.equal(part.status, 201, JSON.stringify(part.body));
    const tooMuch = await shop.admin.create(path, { amount: 1_501, reason: "greed" });
    assert.equal(tooMuch.status, 409);
    assert.equal(tooMuch.body.error, "REFUND_EXCEEDS_CAPTURED");
    const rest = await shop.admin.create(path, { reason: "the rest" });
    assert.equal(rest.status, 201, JSON.stringify(rest.body));

    const refunded = await shop.whenPayment(buyer, payment.id, "refunded");
    assert.equal(refunded.refunded_amount, 2_000);
    await shop.whenOrder(buyer, order.id, "refunded");
    await shop.whenStock(skuId, { on_hand: 3, available: 3, reserved: 0 });
  });

  it("keeps orders, payments and addresses from other customers", async () => {
    const [owner, other] = [await shop.customer(), await shop.customer()];
    const { skuId } = await shop.product(1);
    const order = await shop.placed(owner, skuId);
    const payment = await shop.openPayment(owner, order.id);
    const answers = await Promise.all([
      other.get(`${API}/orders/${order.id}`),
      other.post(`${API}/orders/${order.id}/cancel`),
      other.post(`${API}/orders/${order.id}/pay`),
      other.get(`${API}/payments/${payment.id}`),
      other.post(`${API}/payments/${payment.id}/simulate`, { outcome: "succeeded" }),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [404, 404, 404, 404, 404],
    );
    const list = await other.get<{ total: number }>(`${API}/orders`);
    assert.equal(list.data.total, 0);
    assert.equal((await other.post(`${API}/orders/${order.id}/ship`)).status, 403);
    assert.equal((await shop.visitor().get(`${API}/orders`)).status, 401);
  });
});
