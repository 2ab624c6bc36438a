// What stored callbacks do to the payments of one order. The caller holds the order's lock.
//
//   success of a payment that holds no money yet:
//     another payment of the order is captured ──▶ duplicate: captured, refunded as a whole
//     order closed, or callback stored too late ──▶ late:      captured, refunded as a whole
//     else ─────────────────────────────────────▶ captured:  the order is paid; what else is open
//                                                             for it is closed
//   failure of a pending payment ───────────────▶ failed:    the order may open another one
//   everything else ────────────────────────────▶ ignored
//
// Too late is judged by the database clock alone: stored at or after expires_at. What the provider
// answers when it is asked before an order closes (source `query`) is never too late: the stock is
// still held then.
import type { PaymentStatus } from "../../contracts/payment.ts";
import type { NewEvent } from "../../contracts/events.ts";
import { assert, must } from "../../kernel/assert.ts";
import { captureEntries, type LedgerEntry } from "./ledger.ts";
import type { Payment } from "./payment.ts";

export interface StoredCallback {
  readonly id: string;
  readonly paymentId: string;
  readonly source: "provider" | "query";
  readonly outcome: "succeeded" | "failed";
  readonly receivedAt: Date;
}

export type CallbackEffect = "captured" | "late" | "duplicate" | "failed" | "ignored";

/** Everything of one order, read under its lock. */
export interface OrderAccount {
  readonly orderId: string;
  readonly closingAt: Date | null;
  readonly closedAt: Date | null;
  readonly payments: readonly Payment[];
  /** Not applied yet, oldest first. */
  readonly callbacks: readonly StoredCallback[];
}

export type AutomaticRefund = "late" | "duplicate";

/** A payment's row after the settlement; version has grown by one. */
export interface PaymentChange {
  readonly payment: Payment;
  readonly status: PaymentStatus;
  readonly isLive: boolean;
  /** The callback whose money it holds now; null when none of these callbacks captured it. */
  readonly capturedBy: StoredCallback | null;
  /** Set when all of it is to be given back. */
  readonly refund: AutomaticRefund | null;
}

export interface Settlement {
  readonly orderId: string;
  readonly changes: readonly PaymentChange[];
  readonly effects: readonly { readonly callbackId: string; readonly effect: CallbackEffect }[];
  readonly entries: readonly LedgerEntry[];
  readonly events: readonly NewEvent[];
  /** The payment the order is paid with, from now on or since before. */
  readonly captured: { readonly paymentId: string; readonly paidAt: Date } | null;
  /** Payments that are still open afterwards. */
  readonly pending: readonly Payment[];
}

type Draft = { -readonly [K in keyof PaymentChange]: PaymentChange[K] };

/**
 * @param close ids of payments that the provider will take no money for any more: those still
 * pending after the callbacks become closed.
 */
export function settle(account: OrderAccount, close: ReadonlySet<string> = new Set()): Settlement {
  const drafts = new Map(account.payments.map((payment) => [payment.id, draftOf(payment)]));
  const effects = account.callbacks.map((callback) => {
    const draft = must(drafts.get(callback.paymentId), "a callback's payment");
    const effect = effectOf(account, callback, draft, [...drafts.values()]);
    carryOut(effect, callback, draft, [...drafts.values()]);
    return { callbackId: callback.id, effect };
  });
  for (const draft of drafts.values()) {
    if (draft.status === "pending" && close.has(draft.payment.id)) end(draft, "closed");
  }
  return resultOf(account, effects, [...drafts.values()]);
}

function draftOf(payment: Payment): Draft {
  const { status, isLive } = payment;
  return { payment, status, isLive, capturedBy: null, refund: null };
}

function holdsMoney(draft: Draft): boolean {
  return draft.payment.capturedAt !== null || draft.capturedBy !== null;
}

function effectOf(
  account: OrderAccount,
  callback: StoredCallback,
  draft: Draft,
  all: readonly Draft[],
): CallbackEffect {
  if (callback.outcome === "failed") return draft.status === "pending" ? "failed" : "ignored";
  if (holdsMoney(draft)) return "ignored";
  if (all.some((other) => other.isLive && holdsMoney(other))) return "duplicate";
  const isTooLate =
    callback.source === "provider" && callback.receivedAt >= draft.payment.expiresAt;
  return account.closedAt !== null || isTooLate ? "late" : "captured";
}

function carryOut(
  effect: CallbackEffect,
  callback: StoredCallback,
  draft: Draft,
  all: readonly Draft[],
): void {
  switch (effect) {
    case "ignored":
      return;
    case "failed":
      end(draft, "failed");
      return;
    case "late":
    case "duplicate":
      end(draft, "closed");
      draft.capturedBy = callback;
      draft.refund = effect;
      return;
    case "captured":
      for (const other of all) if (other.status === "pending") end(other, "closed");
      draft.status = "succeeded";
      draft.isLive = true;
      draft.capturedBy = callback;
  }
}

function end(draft: Draft, status: "closed" | "failed"): void {
  draft.status = status;
  draft.isLive = false;
}

function resultOf(
  account: OrderAccount,
  effects: Settlement["effects"],
  drafts: readonly Draft[],
): Settlement {
  const changes = drafts.filter(
    (draft) =>
      draft.status !== draft.payment.status ||
      draft.isLive !== draft.payment.isLive ||
      draft.capturedBy !== null,
  );
  const paidBy = drafts.filter((draft) => draft.isLive && holdsMoney(draft));
  assert(paidBy.length <= 1, "an order is paid by one payment");
  const [winner] = paidBy;
  return {
    orderId: account.orderId,
    changes,
    effects,
    entries: changes
      .filter((change) => change.capturedBy !== null)
      .flatMap((change) => captureEntries(change.payment, change.refund === null)),
    events: changes.flatMap(succeededEvents),
    captured:
      winner === undefined
        ? null
        : { paymentId: winner.payment.id, paidAt: must(capturedAtOf(winner), "time of capture") },
    pending: drafts.filter((draft) => draft.status === "pending").map(({ payment }) => payment),
  };
}

function capturedAtOf(draft: Draft): Date | null {
  return draft.capturedBy?.receivedAt ?? draft.payment.capturedAt;
}

function succeededEvents(change: PaymentChange): readonly NewEvent[] {
  const { payment, capturedBy, refund } = change;
  if (capturedBy === null || refund !== null) return [];
  return [
    {
      name: "payment.succeeded.v1",
      aggregateId: payment.id,
      aggregateVersion: payment.version + 1,
      payload: {
        payment_id: payment.id,
        order_id: payment.orderId,
        user_id: payment.userId,
        amount: payment.amount,
        paid_at: capturedBy.receivedAt.toISOString(),
      },
    },
  ];
}
