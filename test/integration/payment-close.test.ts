// Closing orders: stored callbacks count first, then the provider's word, and a tombstone stays.
import assert from "node:assert/strict";
import { errorSlug } from "../../services/contracts/errors.ts";
import { CLOSE_FAILPOINTS, type ClosedOrder } from "../../services/payment/close-orders.ts";
import type { Payment } from "../../services/payment/domain/payment.ts";
import type { PaymentNode } from "../../services/payment/payment-node.ts";
import { newId, PaymentRig } from "../support/payment.ts";

async function slugOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return await attempt.then(
    () => undefined,
    (error: unknown) => errorSlug(error) ?? String(error),
  );
}

describe("closing orders", () => {
  let rig: PaymentRig;
  /** Applies and refunds nothing by itself. */
  let idle: PaymentNode;

  before(async () => {
    rig = await PaymentRig.start();
    rig.receiver?.start();
    idle = rig.node();
  });
  after(() => rig.stop());

  const open = (): Promise<Payment> => idle.opener.open(rig.payable());
  const closeOne = async (orderId: string): Promise<ClosedOrder | undefined> =>
    (await idle.closer.close([orderId]))[0];
  const chargeStatus = async (paymentId: string): Promise<string | undefined> =>
    (
      await rig.provider.database.row<{ status: string }>(
        { name: "test", sql: "SELECT status FROM charges WHERE payment_id = ?" },
        [paymentId],
      )
    )?.status;
  /** Stores a callback through a node that dies before it could apply it. */
  const storeOnly = (payment: Payment, changes = {}): Promise<void> =>
    rig.callback(payment, changes, storing);
  let storing: PaymentNode;
  before(() => {
    storing = rig.node({
      failpoint: (name) => {
        if (name === "payment.apply.before_commit") throw new Error("crash");
      },
    });
  });

  it("closes an unpaid order at the provider too, and gives the same answer again", async () => {
    const payment = await open();
    const closed = { orderId: payment.orderId, captured: null };
    assert.deepEqual(await closeOne(payment.orderId), closed);
    assert.deepEqual(await closeOne(payment.orderId), closed);
    assert.equal((await rig.find(payment.id)).status, "closed");
    assert.equal(await chargeStatus(payment.id), "closed");
  });

  it("leaves a tombstone that refuses a payment for an order nobody knew", async () => {
    const payable = rig.payable();
    assert.equal((await closeOne(payable.orderId))?.captured, null);
    assert.equal(await slugOf(idle.opener.open(payable)), "PAYMENT_ORDER_CLOSED");
  });

  it("counts a callback that was stored before, though nobody had applied it", async () => {
    const payment = await open();
    await storeOnly(payment);
    const outcome = await closeOne(payment.orderId);
    assert.equal(outcome?.captured?.paymentId, payment.id);
    assert.equal((await rig.find(payment.id)).status, "succeeded");
    assert.equal((await rig.events(payment.id)).length, 1);
  });

  it("believes the provider when it has captured and its callback is still on the way", async () => {
    const payment = await open();
    rig.refuseCallbacks = 1_000;
    await rig.simulate(payment, "succeeded");
    assert.equal((await closeOne(payment.orderId))?.captured?.paymentId, payment.id);
    rig.refuseCallbacks = 0;
    assert.equal((await rig.find(payment.id)).status, "succeeded");
    assert.equal((await rig.events(payment.id)).length, 1);
  });

  it("answers every order of a batch in its order", async () => {
    const [paid, failed, unpaid] = await Promise.all([open(), open(), open()]);
    await storeOnly(paid);
    await storeOnly(failed, { status: "failed" });
    const unknown = newId();
    const answers = await idle.closer.close([
      unknown,
      unpaid.orderId,
      paid.orderId,
      failed.orderId,
    ]);
    assert.deepEqual(
      answers.map(({ orderId, captured }) => [orderId, captured?.paymentId ?? null]),
      [
        [unknown, null],
        [unpaid.orderId, null],
        [paid.orderId, paid.id],
        [failed.orderId, null],
      ],
    );
  });

  it("decides nothing while the provider is away, and opens nothing meanwhile", async () => {
    const payable = rig.payable();
    const payment = await idle.opener.open(payable);
    await rig.provider.stop();
    assert.equal(
      await slugOf(idle.closer.close([payment.orderId])),
      "PAYMENT_PROVIDER_UNAVAILABLE",
    );
    assert.equal((await rig.find(payment.id)).status, "pending");
    assert.equal(await slugOf(idle.opener.open(payable)), "PAYMENT_ORDER_CLOSED");
    await rig.restartProvider();
    assert.equal((await closeOne(payment.orderId))?.captured, null);
  });

  for (const point of Object.values(CLOSE_FAILPOINTS)) {
    it(`ends the same way when its node dies (${point})`, async () => {
      const payment = await open();
      const dying = rig.node({
        failpoint: (name) => {
          if (name === point) throw new Error("crash");
        },
      });
      await assert.rejects(dying.closer.close([payment.orderId]), /crash/);
      assert.equal((await closeOne(payment.orderId))?.captured, null);
      assert.equal((await rig.find(payment.id)).status, "closed");
    });
  }

  it("gives money back that arrives after the order was closed, once", async () => {
    const payment = await open();
    await closeOne(payment.orderId);
    await Promise.all([rig.callback(payment), rig.callback(payment)]);
    const refunded = await rig.when(payment.id, "refunded");
    assert.equal(refunded.refundedAmount, payment.amount);
    const refunds = await rig.select<{ refund_key: string; status: string }>(
      "SELECT refund_key, status FROM refunds WHERE payment_id = ?",
      [payment.id],
    );
    assert.deepEqual(refunds, [{ refund_key: "late", status: "succeeded" }]);
    const balances = await rig.select<{ account: string; balance: string }>(
      `SELECT account, SUM(amount) AS balance FROM ledger_entries WHERE payment_id = ?
       GROUP BY account ORDER BY account`,
      [payment.id],
    );
    assert.deepEqual(balances, [
      { account: "provider_receivable", balance: "0" },
      { account: "refunds_payable", balance: "0" },
    ]);
    assert.deepEqual(
      (await rig.events(payment.id)).map(({ name }) => name),
      ["payment.refunded.v1"],
    );
    assert.equal((await closeOne(payment.orderId))?.captured, null);
  });

  it("ends as captured or closed with the money back, never both, when success and close race", async () => {
    const other = rig.node();
    const payments = await Promise.all(Array.from({ length: 60 }, () => open()));
    const closed: ClosedOrder[] = [];
    await Promise.all(
      payments.flatMap((payment, index) => [
        rig.callback(payment, {}, index % 2 === 0 ? rig.receiver : storing),
        other.closer.close([payment.orderId]).then((answer) => closed.push(...answer)),
      ]),
    );
    for (const { orderId, captured } of closed) {
      const payment = payments.find((one) => one.orderId === orderId)!;
      const status = captured === null ? "refunded" : "succeeded";
      await rig.when(payment.id, status);
      const succeeded = (await rig.events(payment.id)).filter(
        ({ name }) => name === "payment.succeeded.v1",
      );
      assert.equal(succeeded.length, captured === null ? 0 : 1);
    }
    assert.equal(closed.length, payments.length);
  });
});
