// A payment as the service knows it, and the pure rules of refunding it.
import type { PaymentChannel, PaymentStatus } from "../../contracts/payment.ts";
import { PlatformError } from "../../contracts/errors.ts";

/** Amounts are minor units. */
export interface Payment {
  readonly id: string;
  readonly orderId: string;
  readonly userId: string;
  readonly channel: PaymentChannel;
  readonly amount: number;
  readonly currency: string;
  readonly status: PaymentStatus;
  /** True while it is the one that counts for its order: open, or captured for it. */
  readonly isLive: boolean;
  /** Promised to be given back; grows when a refund is asked for. */
  readonly refundReserved: number;
  /** Given back and booked; what clients see. */
  readonly refundedAmount: number;
  readonly payUrl: string | null;
  readonly version: number;
  readonly expiresAt: Date;
  /** When the capture became known here; null while no money was taken. */
  readonly capturedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/**
 * The amount of a new refund, in minor units; the rest of the payment when none was asked for.
 * @throws PAYMENT_ILLEGAL_STATE without captured money, REFUND_EXCEEDS_CAPTURED.
 */
export function refundable(payment: Payment, wanted: number | undefined): number {
  if (payment.capturedAt === null) {
    throw new PlatformError("PAYMENT_ILLEGAL_STATE", { status: payment.status });
  }
  const rest = payment.amount - payment.refundReserved;
  const amount = wanted ?? rest;
  if (rest <= 0 || amount > rest) throw new PlatformError("REFUND_EXCEEDS_CAPTURED", { rest });
  return amount;
}

export interface BookedRefund {
  readonly refundedAmount: number;
  readonly isFull: boolean;
  readonly status: PaymentStatus;
}

/** What a payment is after one of its reserved refunds was carried out. */
export function bookRefund(payment: Payment, amount: number): BookedRefund {
  const refundedAmount = payment.refundedAmount + amount;
  const isFull = refundedAmount === payment.amount;
  return { refundedAmount, isFull, status: isFull ? "refunded" : payment.status };
}
