// Whether an order may have a payment opened, and which one it is.
import type { PaymentChannel } from "../../contracts/payment.ts";
import type { Payment } from "./payment.ts";
import type { OrderAccount } from "./settlement.ts";

/** What is to be paid; amount in minor units. */
export interface Payable {
  readonly orderId: string;
  readonly userId: string;
  readonly amount: number;
  readonly currency: string;
  readonly channel: PaymentChannel;
  readonly expiresAt: Date;
}

export type Opening =
  /** The order's live payment: open, or the one it was paid with. */
  | { readonly kind: "known"; readonly payment: Payment }
  | { readonly kind: "opened"; readonly payment: Payment }
  | { readonly kind: "refused" };

/** @param now the database's clock, read under the order's lock. */
export function openPayment(
  account: OrderAccount,
  payable: Payable & { readonly newId: string },
  now: Date,
): Opening {
  const live = account.payments.find((payment) => payment.isLive);
  const isPaid = live !== undefined && live.capturedAt !== null;
  const isOver = account.closingAt !== null || now >= payable.expiresAt;
  if (isOver && !isPaid) return { kind: "refused" };
  if (live !== undefined) return { kind: "known", payment: live };
  const { newId, ...rest } = payable;
  return {
    kind: "opened",
    payment: {
      ...rest,
      id: newId,
      status: "pending",
      isLive: true,
      refundReserved: 0,
      refundedAmount: 0,
      payUrl: null,
      version: 1,
      capturedAt: null,
      createdAt: now,
      updatedAt: now,
    },
  };
}
