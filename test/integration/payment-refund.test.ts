// Refunds: bounded by what was captured, once per key, and carried out whatever dies meanwhile.
import assert from "node:assert/strict";
import { errorSlug } from "../../services/contracts/errors.ts";
import type { Payment } from "../../services/payment/domain/payment.ts";
import { runRefunds, type RefundRunnerDeps } from "../../services/payment/refund-runner.ts";
import { reconcile } from "../../services/payment/reconciliation.ts";
import { listDifferences } from "../../services/payment/reconciliation.repository.ts";
import { requestRefund } from "../../services/payment/request-refund.ts";
import { silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { newId, PaymentRig } from "../support/payment.ts";

async function slugOf(attempt: Promise<unknown>): Promise<string | undefined> {
  return await attempt.then(
    () => undefined,
    (error: unknown) => errorSlug(error) ?? String(error),
  );
}

describe("refunds", () => {
  let rig: PaymentRig;

  before(async () => {
    rig = await PaymentRig.start();
  });
  after(() => rig.stop());

  const captured = async (amount = 1_000): Promise<Payment> => {
    const payment = await rig.node().opener.open(rig.payable({ amount }));
    await rig.simulate(payment, "succeeded");
    return await rig.when(payment.id, "succeeded");
  };
  const claim = (key: string, fingerprint = "f".repeat(64)) => ({
    userId: "1",
    route: "POST /payments/:id/refund",
    key,
    fingerprint,
  });
  const ask = (payment: Payment, amount: number | undefined, key: string = newId()) =>
    requestRefund(
      { database: rig.database, ids: { next: newId } },
      { paymentId: payment.id, amount, reason: "asked for" },
      claim(key),
    );
  const turn = (changes: Partial<RefundRunnerDeps> = {}): Promise<boolean> =>
    runRefunds({
      database: rig.database,
      channels: rig.channels(),
      log: silentLog,
      random: () => 0.5,
      failpoint: () => undefined,
      onBooked: () => undefined,
      backoff: { baseMs: 1, maxMs: 1 },
      ...changes,
    });
  /** Repeats turns until nothing is pending. */
  const allCarriedOut = (): Promise<unknown> =>
    eventually(
      async () => {
        await turn();
        const rows = await rig.select("SELECT id FROM refunds WHERE status = 'pending'");
        return rows.length === 0;
      },
      { timeoutMs: 5_000, what: "every refund is booked" },
    );
  const providerRefunds = async (payment: Payment): Promise<readonly number[]> =>
    (
      await rig.provider.database.rows<{ amount: string }>(
        { name: "test", sql: "SELECT amount FROM charge_refunds WHERE payment_id = ?" },
        [payment.id],
      )
    ).map(({ amount }) => Number(amount));

  it("gives a part back and then, without an amount, the rest", async () => {
    const payment = await captured();
    assert.equal((await ask(payment, 300)).value.amount, 300);
    await allCarriedOut();
    const partly = await rig.find(payment.id);
    assert.deepEqual([partly.refundedAmount, partly.status], [300, "succeeded"]);
    assert.equal((await ask(payment, undefined)).value.amount, 700);
    assert.equal((await rig.find(payment.id)).refundedAmount, 300);
    await allCarriedOut();
    const fully = await rig.find(payment.id);
    assert.deepEqual([fully.refundedAmount, fully.status], [1_000, "refunded"]);
    assert.deepEqual(await providerRefunds(payment), [300, 700]);
    const told = (await rig.events(payment.id)).map(
      ({ payload }) => JSON.parse(payload) as Record<string, unknown>,
    );
    assert.deepEqual(
      told.slice(1).map((one) => [one["amount"], one["refunded_amount"], one["is_full"]]),
      [
        [300, 300, false],
        [700, 1_000, true],
      ],
    );
  });

  it("never promises more than was captured, also when asked ten times at once", async () => {
    const payment = await captured();
    const results = await Promise.all(Array.from({ length: 10 }, () => slugOf(ask(payment, 300))));
    assert.equal(results.filter((slug) => slug === undefined).length, 3);
    assert.equal(results.filter((slug) => slug === "REFUND_EXCEEDS_CAPTURED").length, 7);
    await allCarriedOut();
    assert.equal((await rig.find(payment.id)).refundedAmount, 900);
  });

  it("refunds once per key and answers the first refund again", async () => {
    const payment = await captured();
    const first = await ask(payment, 300, "one key");
    const again = await ask(payment, 300, "one key");
    assert.deepEqual(again, { value: first.value, isReplay: true });
    await allCarriedOut();
    assert.deepEqual(await providerRefunds(payment), [300]);
  });

  it("refunds a payment once per key even after the key itself has run out", async () => {
    const payment = await captured();
    const first = await ask(payment, 300, "old key");
    await rig.database.run({
      name: "test",
      sql: "UPDATE idempotency_keys SET expires_at = NOW(3) - INTERVAL 1 SECOND",
    });
    assert.equal((await ask(payment, 300, "old key")).value.id, first.value.id);
  });

  it("needs captured money and a key", async () => {
    const payment = await rig.node().opener.open(rig.payable());
    assert.equal(await slugOf(ask(payment, 1)), "PAYMENT_ILLEGAL_STATE");
    const unkeyed = requestRefund(
      { database: rig.database, ids: { next: newId } },
      { paymentId: payment.id, amount: 1, reason: "x" },
      undefined,
    );
    assert.equal(await slugOf(unkeyed), "IDEMPOTENCY_KEY_REQUIRED");
  });

  it("is carried out once when the node dies between the provider and the books", async () => {
    const payment = await captured();
    await ask(payment, undefined);
    let isDead = false;
    await turn({
      failpoint: (name) => {
        if (name === "payment.refund.after_provider") {
          isDead = true;
          throw new Error("crash");
        }
      },
    });
    assert.ok(isDead);
    assert.equal((await rig.find(payment.id)).refundedAmount, 0);
    await allCarriedOut();
    assert.equal((await rig.find(payment.id)).status, "refunded");
    assert.deepEqual(await providerRefunds(payment), [1_000]);
  });

  it("waits for a provider that is away, and is taken by one of several workers only", async () => {
    const payment = await captured();
    await ask(payment, undefined);
    await rig.provider.stop();
    await turn();
    const [waiting] = await rig.select<{ status: string; last_error: string }>(
      "SELECT status, last_error FROM refunds WHERE payment_id = ?",
      [payment.id],
    );
    assert.deepEqual(waiting, { status: "pending", last_error: "PAYMENT_PROVIDER_UNAVAILABLE" });
    await rig.restartProvider();
    let booked = 0;
    await eventually(
      async () => {
        await Promise.all(
          Array.from({ length: 4 }, () => turn({ onBooked: () => void (booked += 1) })),
        );
        return booked > 0;
      },
      { timeoutMs: 3_000, what: "the refund is booked" },
    );
    assert.equal(booked, 1);
    assert.deepEqual(await providerRefunds(payment), [1_000]);
  });

  it("is booked once when a slow worker's lease ended and another one was faster", async () => {
    const payment = await captured();
    await ask(payment, undefined);
    let booked = 0;
    const count = { onBooked: () => void (booked += 1) };
    const warnings: string[] = [];
    await turn({
      ...count,
      log: { ...silentLog, warn: (_fields, message) => void warnings.push(message) },
      failpoint: async (name) => {
        if (name !== "payment.refund.after_provider") return;
        await rig.database.run({
          name: "test",
          sql: "UPDATE refunds SET next_at = NOW(3) WHERE status = 'pending'",
        });
        await turn(count);
      },
    });
    assert.equal(booked, 1);
    assert.deepEqual(warnings, []);
    assert.equal((await rig.find(payment.id)).status, "refunded");
  });

  it("takes a refund on that the provider knows no capture of, and notes it", async () => {
    const payment = await rig.node().opener.open(rig.payable());
    await rig.callback(payment);
    await rig.when(payment.id, "succeeded");
    await ask(payment, undefined);
    await allCarriedOut();
    const [row] = await rig.provider.database.rows<{ is_capture_known: number }>(
      { name: "test", sql: "SELECT is_capture_known FROM charge_refunds WHERE payment_id = ?" },
      [payment.id],
    );
    assert.equal(row?.is_capture_known, 0);
  });

  describe("and reconciliation", () => {
    const today = new Date().toISOString().slice(0, 10);
    const differencesOf = async (payment: Payment) =>
      (await listDifferences(rig.database, { day: today, page_size: 100 })).items.filter(
        ({ payment_id }) => payment_id === payment.id,
      );
    const run = () =>
      reconcile({ database: rig.database, channels: rig.channels() }, today, "mock");

    it("finds nothing about a payment both sides know alike", async () => {
      const payment = await captured();
      assert.ok((await run()).compared > 0);
      assert.deepEqual(await differencesOf(payment), []);
    });

    it("books once what is missing here, missing there, or of another amount", async () => {
      const [here, there, differs] = [
        await rig.node().opener.open(rig.payable()),
        await rig.node().opener.open(rig.payable()),
        await captured(),
      ];
      rig.refuseCallbacks = 1_000_000;
      await rig.simulate(here, "succeeded");
      await rig.callback(there);
      await rig.when(there.id, "succeeded");
      await rig.provider.database.run(
        { name: "test", sql: "UPDATE charges SET amount = 999 WHERE payment_id = ?" },
        [differs.id],
      );
      const first = await run();
      const again = await run();
      assert.deepEqual(again, first);
      const kinds = await Promise.all(
        [here, there, differs].map(async (payment) =>
          (await differencesOf(payment)).map(({ kind, ours, theirs }) => [kind, ours, theirs]),
        ),
      );
      assert.deepEqual(kinds, [
        [["missing_here", null, 1_999]],
        [["missing_there", 1_999, null]],
        [["amount_differs", 1_000, 999]],
      ]);
    });
  });
});
