// What callbacks do to the payments of an order, with nothing running.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { LedgerEntry } from "../../services/payment/domain/ledger.ts";
import { openPayment } from "../../services/payment/domain/opening.ts";
import { bookRefund, type Payment, refundable } from "../../services/payment/domain/payment.ts";
import {
  type OrderAccount,
  settle,
  type Settlement,
  type StoredCallback,
} from "../../services/payment/domain/settlement.ts";
import { compareOurs, compareTheirs } from "../../services/payment/domain/reconciliation.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";

const AT = new Date("2026-01-01T00:00:00.000Z");
const DEADLINE = new Date("2026-01-01T00:30:00.000Z");

function payment(id: string, changes: Partial<Payment> = {}): Payment {
  return {
    id,
    orderId: "1",
    userId: "7",
    channel: "mock",
    amount: 1_000,
    currency: "CNY",
    status: "pending",
    isLive: true,
    refundReserved: 0,
    refundedAmount: 0,
    payUrl: null,
    version: 1,
    expiresAt: DEADLINE,
    capturedAt: null,
    createdAt: AT,
    updatedAt: AT,
    ...changes,
  };
}

const ended = { status: "failed", isLive: false } as const;
const paid = { status: "succeeded", capturedAt: AT } as const;

function account(payments: readonly Payment[], changes: Partial<OrderAccount> = {}): OrderAccount {
  return { orderId: "1", closingAt: null, closedAt: null, payments, callbacks: [], ...changes };
}

function callback(paymentId: string, changes: Partial<StoredCallback> = {}): StoredCallback {
  return {
    id: `c${paymentId}`,
    paymentId,
    source: "provider",
    outcome: "succeeded",
    receivedAt: AT,
    ...changes,
  };
}

const effectsOf = ({ effects }: Settlement): string[] => effects.map(({ effect }) => effect);
const statusesOf = ({ changes }: Settlement): [string, string, boolean][] =>
  changes.map((one) => [one.payment.id, one.status, one.isLive]);

describe("settling callbacks", () => {
  it("captures a pending payment in time", () => {
    const done = settle(account([payment("10")], { callbacks: [callback("10")] }));
    assert.deepEqual(statusesOf(done), [["10", "succeeded", true]]);
    assert.deepEqual(done.captured, { paymentId: "10", paidAt: AT });
    assert.equal(done.events.length, 1);
  });

  it("is in time one millisecond before the deadline and too late at it", () => {
    const before = callback("10", { receivedAt: new Date(DEADLINE.getTime() - 1) });
    const at = callback("10", { receivedAt: DEADLINE });
    assert.deepEqual(effectsOf(settle(account([payment("10")], { callbacks: [before] }))), [
      "captured",
    ]);
    const late = settle(account([payment("10")], { callbacks: [at] }));
    assert.deepEqual(effectsOf(late), ["late"]);
    assert.deepEqual(statusesOf(late), [["10", "closed", false]]);
    assert.equal(late.changes[0]?.refund, "late");
    assert.deepEqual(late.events, []);
  });

  it("is never too late when the provider told of it because it was asked", () => {
    const told = callback("10", { source: "query", receivedAt: DEADLINE });
    assert.deepEqual(effectsOf(settle(account([payment("10")], { callbacks: [told] }))), [
      "captured",
    ]);
  });

  it("takes money for a closed order only to give it back", () => {
    const closed = { closingAt: AT, closedAt: AT, callbacks: [callback("10")] };
    const done = settle(account([payment("10", { status: "closed", isLive: false })], closed));
    assert.deepEqual(effectsOf(done), ["late"]);
    assert.equal(done.captured, null);
  });

  it("gives a second capture back and leaves the first alone", () => {
    const payments = [payment("10", paid), payment("11", ended)];
    const done = settle(account(payments, { callbacks: [callback("11")] }));
    assert.deepEqual(effectsOf(done), ["duplicate"]);
    assert.deepEqual(statusesOf(done), [["11", "closed", false]]);
    assert.equal(done.captured?.paymentId, "10");
  });

  it("closes the newer payment when the failed one before it succeeds after all", () => {
    const payments = [payment("10", ended), payment("11")];
    const done = settle(account(payments, { callbacks: [callback("10")] }));
    assert.deepEqual(statusesOf(done), [
      ["10", "succeeded", true],
      ["11", "closed", false],
    ]);
  });

  it("captures one and gives the other back when both succeed in one batch", () => {
    const payments = [payment("10", ended), payment("11")];
    const done = settle(account(payments, { callbacks: [callback("11"), callback("10")] }));
    assert.deepEqual(effectsOf(done), ["captured", "duplicate"]);
  });

  it("ignores a failure after a success and a success after a success", () => {
    const failure = callback("10", { outcome: "failed", id: "f" });
    const done = settle(account([payment("10", paid)], { callbacks: [failure, callback("10")] }));
    assert.deepEqual(effectsOf(done), ["ignored", "ignored"]);
    assert.deepEqual(done.changes, []);
    assert.deepEqual([done.entries, done.events], [[], []]);
  });

  it("closes what nobody paid, once the provider will take no money any more", () => {
    const done = settle(account([payment("10")], { closingAt: AT }), new Set(["10"]));
    assert.deepEqual(statusesOf(done), [["10", "closed", false]]);
    assert.deepEqual(done.pending, []);
  });

  it("keeps the money right whatever comes in whatever batches", () => {
    const step = fc.record({
      paymentId: fc.constantFrom("10", "11", "12"),
      outcome: fc.constantFrom("succeeded" as const, "failed" as const),
      source: fc.constantFrom("provider" as const, "query" as const),
      isLate: fc.boolean(),
      closesAfter: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 6 }), (batches) => {
        let state = account([payment("10", ended), payment("11", ended), payment("12")]);
        const entries: LedgerEntry[] = [];
        const events: unknown[] = [];
        const refunds: string[] = [];
        for (const batch of batches) {
          const callbacks = batch.map((one, index) =>
            callback(one.paymentId, {
              ...one,
              id: String(index),
              receivedAt: one.isLate ? DEADLINE : AT,
            }),
          );
          const done = settle({ ...state, callbacks });
          entries.push(...done.entries);
          events.push(...done.events);
          for (const { refund, payment: one } of done.changes)
            if (refund !== null) refunds.push(one.id);
          const isClosed = batch.some(({ closesAfter }) => closesAfter) && done.captured === null;
          state = {
            ...state,
            closedAt: isClosed ? AT : state.closedAt,
            payments: state.payments.map((one) => {
              const change = done.changes.find(({ payment: { id } }) => id === one.id);
              if (change === undefined) return one;
              const capturedAt = change.capturedBy?.receivedAt ?? one.capturedAt;
              return { ...one, status: change.status, isLive: change.isLive, capturedAt };
            }),
          };
        }
        const balance = (name: string) =>
          entries.filter((one) => one.account === name).reduce((sum, one) => sum + one.amount, 0);
        const captured = state.payments.filter(({ capturedAt }) => capturedAt !== null);
        const paying = captured.filter(({ isLive }) => isLive);
        assert.ok(state.payments.filter(({ isLive }) => isLive).length <= 1);
        assert.equal(paying.length, events.length);
        assert.equal(new Set(refunds).size, refunds.length);
        assert.equal(balance("provider_receivable"), captured.length * 1_000);
        assert.equal(balance("order_revenue") + paying.length * 1_000, 0);
        assert.equal(balance("refunds_payable") + refunds.length * 1_000, 0);
      }),
      { numRuns: 500 },
    );
  });
});

describe("opening a payment", () => {
  const payable = {
    orderId: "1",
    userId: "7",
    amount: 1_000,
    currency: "CNY",
    channel: "mock" as const,
    expiresAt: DEADLINE,
    newId: "20",
  };

  it("opens the first and answers it afterwards", () => {
    assert.equal(openPayment(account([]), payable, AT).kind, "opened");
    const again = openPayment(account([payment("10")]), payable, AT);
    assert.deepEqual(again, { kind: "known", payment: payment("10") });
  });

  it("is refused from the deadline on, and for an order that closes", () => {
    assert.equal(openPayment(account([]), payable, DEADLINE).kind, "refused");
    assert.equal(openPayment(account([], { closingAt: AT }), payable, AT).kind, "refused");
  });

  it("answers the payment the order was paid with, also after the deadline", () => {
    const opening = openPayment(account([payment("10", paid)]), payable, DEADLINE);
    assert.equal(opening.kind, "known");
  });
});

describe("refunding a payment", () => {
  it("is bounded by what has been promised already", () => {
    const one = payment("10", { ...paid, refundReserved: 400 });
    assert.equal(refundable(one, undefined), 600);
    assert.equal(refundable(one, 600), 600);
    assert.throws(
      () => refundable(one, 601),
      (error) => isPlatformError(error, "REFUND_EXCEEDS_CAPTURED"),
    );
    const spent = payment("10", { ...paid, refundReserved: 1_000 });
    assert.throws(
      () => refundable(spent, undefined),
      (error) => isPlatformError(error, "REFUND_EXCEEDS_CAPTURED"),
    );
    assert.throws(
      () => refundable(payment("10"), 1),
      (error) => isPlatformError(error, "PAYMENT_ILLEGAL_STATE"),
    );
  });

  it("makes a payment refunded with its last cent only", () => {
    const one = payment("10", { ...paid, refundedAmount: 400 });
    assert.deepEqual(bookRefund(one, 599), {
      refundedAmount: 999,
      isFull: false,
      status: "succeeded",
    });
    assert.deepEqual(bookRefund(one, 600), {
      refundedAmount: 1_000,
      isFull: true,
      status: "refunded",
    });
  });
});

describe("comparing with the provider's list", () => {
  const theirs = { paymentId: "10", amount: 1_000, providerRef: "r" };

  it("finds nothing when both sides say the same", () => {
    assert.equal(compareTheirs(theirs, 1_000), null);
    assert.equal(
      compareOurs({ paymentId: "10", amount: 1_000 }, { ...theirs, isCaptured: true }),
      null,
    );
  });

  it("names what is missing and where", () => {
    assert.equal(compareTheirs(theirs, undefined)?.kind, "missing_here");
    assert.equal(compareTheirs(theirs, 999)?.kind, "amount_differs");
    const away = { isCaptured: false, amount: 0, providerRef: "" };
    assert.equal(compareOurs({ paymentId: "10", amount: 1_000 }, away)?.kind, "missing_there");
  });
});
