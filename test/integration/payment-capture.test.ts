// Opening payments and applying callbacks on a real database, with the mock provider over HTTP.
import assert from "node:assert/strict";
import { errorSlug } from "../../services/contracts/errors.ts";
import { APPLY_FAILPOINTS } from "../../services/payment/apply-callbacks.ts";
import { OPEN_FAILPOINTS } from "../../services/payment/open-payment.ts";
import { sql } from "../../mixins/database/database.ts";
import { eventually } from "../support/eventually.ts";
import { POOL_SIZE } from "../support/database.ts";
import { OLD_SECRET, newId, PaymentRig } from "../support/payment.ts";

async function slugOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return await attempt.then(
    () => undefined,
    (error: unknown) => errorSlug(error) ?? String(error),
  );
}

describe("payments", () => {
  let rig: PaymentRig;

  before(async () => {
    rig = await PaymentRig.start();
    rig.receiver?.start();
  });
  after(() => rig.stop());

  const opened = (changes = {}) => rig.node().opener.open(rig.payable(changes));

  it("answers the same open payment to every request for an order, also at the same time", async () => {
    const payable = rig.payable();
    const [one, two] = [rig.node(), rig.node()];
    const payments = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).opener.open(payable)),
    );
    assert.equal(new Set(payments.map(({ id }) => id)).size, 1);
    assert.equal(payments[0]?.status, "pending");
    const rows = await rig.select("SELECT id FROM payments WHERE order_id = ?", [payable.orderId]);
    assert.equal(rows.length, 1);
  });

  it("stores callbacks while every other connection of the service is busy", async () => {
    const payment = await opened();
    const callbackDatabase = rig.schemas.database("payment", { poolSize: 1 });
    const node = rig.node({ callbackDatabase });
    const hold = sql("test.hold", "SELECT SLEEP(2)");
    const held = Array.from({ length: POOL_SIZE }, () => rig.database.rows(hold));
    const refused = await slugOf(rig.database.rows(sql("test.read", "SELECT 1")));
    assert.equal(refused, "OVERLOADED");
    await rig.callback(payment, {}, node);
    await Promise.all(held);
    await rig.when(payment.id, "succeeded");
  });

  it("takes no callback that it could not store", async () => {
    const payment = await opened();
    const callbackDatabase = rig.schemas.database("payment", { poolSize: 1 });
    const node = rig.node({ callbackDatabase });
    await callbackDatabase.close();
    assert.equal(await slugOf(rig.callback(payment, {}, node)), "SHUTTING_DOWN");
    assert.equal((await rig.find(payment.id)).status, "pending");
  });

  it("registers the charge of an open payment again after the provider was away", async () => {
    const payable = rig.payable();
    const node = rig.node();
    await rig.provider.stop();
    assert.equal(await slugOf(node.opener.open(payable)), "PAYMENT_PROVIDER_UNAVAILABLE");
    await rig.restartProvider();
    const payment = await node.opener.open(payable);
    const charges = await rig.provider.database.rows<{ status: string }>(
      { name: "test", sql: "SELECT status FROM charges WHERE payment_id = ?" },
      [payment.id],
    );
    assert.deepEqual(charges, [{ status: "open" }]);
  });

  it("answers the same payment after a crash between the row and the charge", async () => {
    const payable = rig.payable();
    const crashing = rig.node({
      failpoint: (name) => {
        if (name === OPEN_FAILPOINTS.beforeRegister) throw new Error("crash");
      },
    });
    await assert.rejects(crashing.opener.open(payable), /crash/);
    const [row] = await rig.select<{ id: string }>("SELECT id FROM payments WHERE order_id = ?", [
      payable.orderId,
    ]);
    assert.equal((await rig.node().opener.open(payable)).id, row?.id);
  });

  it("refuses to open a payment for an order whose time is over", async () => {
    assert.equal(
      await slugOf(opened({ expiresAt: new Date(Date.now() - 1) })),
      "PAYMENT_ORDER_CLOSED",
    );
  });

  it("captures once what the provider tells of once, with its ledger and one event", async () => {
    const payment = await opened();
    await rig.callback(payment);
    const captured = await rig.when(payment.id, "succeeded");
    assert.ok(captured.capturedAt !== null);
    const entries = await rig.select<{ account: string; amount: string }>(
      "SELECT account, amount FROM ledger_entries WHERE payment_id = ? ORDER BY id",
      [payment.id],
    );
    assert.deepEqual(entries, [
      { account: "provider_receivable", amount: "1999" },
      { account: "order_revenue", amount: "-1999" },
    ]);
    const events = await rig.events(payment.id);
    assert.equal(events.length, 1);
    const event = events[0]!;
    assert.equal(event.name, "payment.succeeded.v1");
    assert.deepEqual(JSON.parse(event.payload), {
      payment_id: payment.id,
      order_id: payment.orderId,
      user_id: "7",
      amount: 1_999,
      paid_at: captured.capturedAt.toISOString(),
    });
  });

  it("takes any repetition of a callback without a second effect", async () => {
    const payment = await opened();
    await Promise.all(
      Array.from({ length: 10 }, () => rig.callback(payment, { webhookId: `w-${payment.id}` })),
    );
    await rig.when(payment.id, "succeeded");
    await rig.callback(payment, { webhookId: `w-${payment.id}` });
    await rig.callback(payment);
    await eventually(
      async () =>
        (
          await rig.select("SELECT id FROM callbacks WHERE payment_id = ? AND applied_at IS NULL", [
            payment.id,
          ])
        ).length === 0,
      { timeoutMs: 2_000, what: "every callback is applied" },
    );
    assert.equal((await rig.events(payment.id)).length, 1);
    const effects = await rig.select<{ effect: string }>(
      "SELECT effect FROM callbacks WHERE payment_id = ? ORDER BY id",
      [payment.id],
    );
    assert.deepEqual(
      effects.map(({ effect }) => effect),
      ["captured", "ignored"],
    );
  });

  it("raises an alarm when a callback comes again with another body", async () => {
    const payment = await opened();
    const webhookId = `w-${payment.id}`;
    await rig.callback(payment, { webhookId });
    rig.errors.length = 0;
    await rig.callback(payment, { webhookId, status: "failed" });
    assert.deepEqual(rig.errors, ["a callback came again with another body"]);
    await rig.when(payment.id, "succeeded");
  });

  it("refuses forged, old, early, changed and misdirected callbacks and stores none", async () => {
    const payment = await opened();
    const other = `whsec_${Buffer.from("a key that nobody has told the shop of").toString("base64")}`;
    assert.equal(
      await slugOf(rig.callback(payment, { secret: other })),
      "WEBHOOK_SIGNATURE_INVALID",
    );
    assert.equal(
      await slugOf(rig.callback(payment, { ageMs: 302_000 })),
      "WEBHOOK_SIGNATURE_INVALID",
    );
    assert.equal(
      await slugOf(rig.callback(payment, { ageMs: -302_000 })),
      "WEBHOOK_SIGNATURE_INVALID",
    );
    assert.equal(await slugOf(rig.callback(payment, { amount: 1_998 })), "PAYMENT_AMOUNT_MISMATCH");
    assert.equal(await slugOf(rig.callback(payment, { paymentId: newId() })), "VALIDATION_FAILED");
    assert.equal(await slugOf(rig.callback({ id: newId(), amount: 1 })), "PAYMENT_NOT_FOUND");
    assert.deepEqual(
      await rig.select("SELECT id FROM callbacks WHERE payment_id = ?", [payment.id]),
      [],
    );
    assert.equal((await rig.find(payment.id)).status, "pending");
  });

  it("still takes callbacks signed with the key before the present one", async () => {
    const payment = await opened();
    await rig.callback(payment, { secret: OLD_SECRET });
    await rig.when(payment.id, "succeeded");
  });

  it("applies a stored callback whose node died before it could", async () => {
    const payment = await opened();
    const dying = rig.node({
      failpoint: (name) => {
        if (name === APPLY_FAILPOINTS.beforeCommit) throw new Error("crash");
      },
    });
    await rig.callback(payment, {}, dying);
    await rig.when(payment.id, "succeeded");
    assert.equal((await rig.events(payment.id)).length, 1);
  });

  it("lets a new payment be opened after a failed one, and keeps the failed one's late success", async () => {
    const payable = rig.payable();
    const node = rig.node();
    const first = await node.opener.open(payable);
    await rig.callback(first, { status: "failed" });
    await rig.when(first.id, "failed");
    const second = await node.opener.open(payable);
    assert.notEqual(second.id, first.id);
    await rig.callback(first);
    await rig.when(first.id, "succeeded");
    assert.equal((await rig.find(second.id)).status, "closed");
    assert.equal((await node.opener.open(payable)).id, first.id);
    await rig.callback(second);
    const refunded = await rig.when(second.id, "refunded");
    assert.equal(refunded.refundedAmount, 1_999);
    const keys = await rig.select<{ refund_key: string }>(
      "SELECT refund_key FROM refunds WHERE payment_id = ?",
      [second.id],
    );
    assert.deepEqual(keys, [{ refund_key: "duplicate" }]);
  });

  it("gives money back that was told of at the deadline or later", async () => {
    const payment = await opened({ expiresAt: new Date(Date.now() + 200) });
    await eventually(
      async () =>
        (
          await rig.select("SELECT id FROM payments WHERE id = ? AND expires_at < NOW(3)", [
            payment.id,
          ])
        ).length === 1,
      { timeoutMs: 2_000, what: "the payment's time is over" },
    );
    await rig.callback(payment);
    await rig.when(payment.id, "refunded");
    assert.deepEqual(
      (await rig.events(payment.id)).map(({ name }) => name),
      ["payment.refunded.v1"],
    );
  });

  it("captures 200 payments in a few transactions", async () => {
    const node = rig.node();
    const payments = await Promise.all(
      Array.from({ length: 200 }, () => node.opener.open(rig.payable())),
    );
    await Promise.all(payments.map((payment) => rig.callback(payment)));
    await Promise.all(payments.map(({ id }) => rig.when(id, "succeeded")));
    const [sums] = await rig.select<{ broken: string }>(
      `SELECT COUNT(*) AS broken FROM (SELECT 1 FROM ledger_entries
       GROUP BY cause_type, cause_id HAVING SUM(amount) <> 0) AS causes`,
    );
    assert.equal(Number(sums?.broken), 0);
  });

  it("are captured once each when many buyers pay, fail and pay again at the same time", async () => {
    const payments = await Promise.all(Array.from({ length: 20 }, () => opened()));
    const attempts = await Promise.allSettled(
      payments.flatMap((payment) => [
        rig.simulate(payment, "succeeded"),
        rig.simulate(payment, "failed"),
        rig.simulate(payment, "succeeded"),
      ]),
    );
    const succeeded = attempts.filter((_attempt, index) => index % 3 !== 1);
    assert.ok(succeeded.every(({ status }) => status === "fulfilled"));
    await Promise.all(payments.map(({ id }) => rig.when(id, "succeeded")));
    const ids = payments.map(({ id }) => id);
    const books = await rig.provider.database.rows<{ status: string; told: string }>(
      sql(
        "test.charges",
        `SELECT c.status, SUM(d.body LIKE '%succeeded%') AS told FROM charges AS c
         JOIN deliveries AS d ON d.payment_id = c.payment_id
         WHERE c.payment_id IN (?) GROUP BY c.payment_id, c.status`,
      ),
      [ids],
    );
    assert.deepEqual(
      books.map(({ status, told }) => [status, Number(told)]),
      ids.map(() => ["captured", 1]),
    );
  });

  it("is captured by the provider's own signed callback, sent until it is taken", async () => {
    const payment = await opened();
    rig.refuseCallbacks = 2;
    const response = await fetch(`${rig.provider.url}/v1/charges/simulate`, { method: "POST" });
    assert.equal(response.status, 401);
    await rig.simulate(payment, "succeeded");
    await rig.restartProvider();
    await rig.when(payment.id, "succeeded");
    assert.equal(rig.refuseCallbacks, 0);
  });
});
