// Double entry: what a capture and a refund do to the accounts. Debits are positive, and the
// entries of one cause add up to zero.
import { assert } from "../../kernel/assert.ts";

/**
 * `provider_receivable` what the provider owes the shop; `order_revenue` money of paid orders;
 * `refunds` given back out of revenue; `refunds_payable` captured without an order to pay for
 * (too late or twice), owed to the buyer until it is given back.
 */
export type LedgerAccount = "provider_receivable" | "order_revenue" | "refunds" | "refunds_payable";

export interface LedgerEntry {
  readonly causeType: "capture" | "refund";
  /** The payment's id for a capture, the refund's id for a refund. */
  readonly causeId: string;
  readonly account: LedgerAccount;
  /** Minor units, signed. */
  readonly amount: number;
  readonly paymentId: string;
}

type Cause = Pick<LedgerEntry, "causeType" | "causeId" | "paymentId">;

function transfer(
  cause: Cause,
  amount: number,
  accounts: { readonly debit: LedgerAccount; readonly credit: LedgerAccount },
): readonly LedgerEntry[] {
  assert(Number.isSafeInteger(amount) && amount > 0, "money that moves is a positive integer");
  return [
    { ...cause, account: accounts.debit, amount },
    { ...cause, account: accounts.credit, amount: -amount },
  ];
}

/** @param isForOrder false when the money came too late or twice and is owed to the buyer. */
export function captureEntries(
  payment: { readonly id: string; readonly amount: number },
  isForOrder: boolean,
): readonly LedgerEntry[] {
  return transfer(
    { causeType: "capture", causeId: payment.id, paymentId: payment.id },
    payment.amount,
    { debit: "provider_receivable", credit: isForOrder ? "order_revenue" : "refunds_payable" },
  );
}

/** @param isForOrder whether the payment had been captured for its order. */
export function refundEntries(
  refund: { readonly id: string; readonly paymentId: string; readonly amount: number },
  isForOrder: boolean,
): readonly LedgerEntry[] {
  return transfer(
    { causeType: "refund", causeId: refund.id, paymentId: refund.paymentId },
    refund.amount,
    { debit: isForOrder ? "refunds" : "refunds_payable", credit: "provider_receivable" },
  );
}
