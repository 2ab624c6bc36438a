// The provider's callbacks: forged, stale, wrong, doubled, shuffled. Nothing moves twice.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Payment } from "../../services/contracts/payment.ts";
import type { HttpClient } from "../support/http-client.ts";
import { API, openShop, type Shop } from "../support/shop.ts";

describe("payment callbacks", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });

  after(() => shop.expectInvariants());

  async function openPayment(): Promise<{ buyer: HttpClient; payment: Payment; orderId: string }> {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(1, 1_234);
    const order = await shop.placed(buyer, skuId);
    return { buyer, payment: await shop.openPayment(buyer, order.id), orderId: order.id };
  }

  it("refuses a forged, altered, stale or early one and moves nothing", async () => {
    const { buyer, payment } = await openPayment();
    const otherSecret = `whsec_${Buffer.from("not the key of this platform, at all").toString("base64")}`;
    const answers = [
      await shop.callback(payment, { secret: otherSecret }),
      await shop.callback(payment, { tamper: true }),
      await shop.callback(payment, { ageS: -600 }),
      await shop.callback(payment, { ageS: 600 }),
      await shop.visitor().post(`${API}/payments/${payment.id}/callbacks`, {
        payment_id: payment.id,
        status: "succeeded",
        amount: payment.amount,
        provider_ref: "x",
      }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [401, 401, 401, 401, 401],
    );
    const { data } = await buyer.get<Payment>(`${API}/payments/${payment.id}`);
    assert.equal(data.status, "pending");
  });

  it("refuses another amount, another payment and one it does not know", async () => {
    const { payment } = await openPayment();
    const wrong = await shop.callback(payment, { amount: payment.amount - 1 });
    assert.equal(wrong.status, 422);
    assert.equal(wrong.body.error, "PAYMENT_AMOUNT_MISMATCH");
    const unknown = await shop.callback({ id: "4611686018427387904", amount: 1 });
    assert.equal(unknown.status, 404);
    const elsewhere = await openPayment();
    const crossed = await shop.callback(payment, { path: elsewhere.payment.id });
    assert.ok(crossed.status >= 400 && crossed.status < 500);
  });

  it("has one effect, however often and in whatever order they come", async () => {
    const { buyer, payment, orderId } = await openPayment();
    const webhookId = randomUUID();
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, () => shop.callback(payment, { webhookId })),
      ...Array.from({ length: 5 }, () => shop.callback(payment)),
    ]);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [204]);
    await shop.whenOrder(buyer, orderId, "paid");
    assert.equal((await shop.callback(payment, { status: "failed" })).status, 204);
    const { data } = await buyer.get<Payment>(`${API}/payments/${payment.id}`);
    assert.deepEqual([data.status, data.refunded_amount], ["succeeded", 0]);
  });

  it("lets a buyer pay again after a failed payment", async () => {
    const { buyer, payment, orderId } = await openPayment();
    assert.equal((await shop.callback(payment, { status: "failed" })).status, 204);
    await shop.whenPayment(buyer, payment.id, "failed");
    const second = await shop.paid(buyer, orderId);
    assert.notEqual(second.id, payment.id);
  });
});
