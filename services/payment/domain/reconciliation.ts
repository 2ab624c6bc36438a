// Compares what a provider says it captured with what is captured here. Amounts are minor units.
import type { ReconciliationDifference } from "../../contracts/payment.ts";

export interface Difference {
  readonly kind: ReconciliationDifference["kind"];
  readonly paymentId: string;
  readonly providerRef: string | null;
  readonly ours: number | null;
  readonly theirs: number | null;
}

export interface TheirCapture {
  readonly paymentId: string;
  readonly amount: number;
  readonly providerRef: string;
}

/** @param ours the captured amount here; undefined when there is no such capture. */
export function compareTheirs(theirs: TheirCapture, ours: number | undefined): Difference | null {
  const { paymentId, amount, providerRef } = theirs;
  if (ours === amount) return null;
  const kind = ours === undefined ? "missing_here" : "amount_differs";
  return { kind, paymentId, providerRef, ours: ours ?? null, theirs: amount };
}

/** @param theirs what the provider answers when it is asked for this one payment. */
export function compareOurs(
  ours: { readonly paymentId: string; readonly amount: number },
  theirs: { readonly isCaptured: boolean; readonly amount: number; readonly providerRef: string },
): Difference | null {
  const { paymentId, amount } = ours;
  if (!theirs.isCaptured) {
    return { kind: "missing_there", paymentId, providerRef: null, ours: amount, theirs: null };
  }
  return compareTheirs(
    { paymentId, amount: theirs.amount, providerRef: theirs.providerRef },
    amount,
  );
}
