// Rows of the payment schema as TypeScript values, and values as the contract's objects.
import type { Payment as PaymentView, Refund as RefundView } from "../contracts/payment.ts";
import type { Payment } from "./domain/payment.ts";
import type { StoredCallback } from "./domain/settlement.ts";

export const PAYMENT_COLUMNS = [
  "p.id, p.order_id, p.user_id, p.channel, p.amount, p.currency, p.status, p.live",
  "p.refund_reserved, p.refunded_amount, p.pay_url, p.version, p.expires_at, p.captured_at",
  "p.created_at, p.updated_at",
].join(", ");

export interface PaymentRow {
  readonly id: string;
  readonly order_id: string;
  readonly user_id: string;
  readonly channel: Payment["channel"];
  readonly amount: string;
  readonly currency: string;
  readonly status: Payment["status"];
  readonly live: number | null;
  readonly refund_reserved: string;
  readonly refunded_amount: string;
  readonly pay_url: string | null;
  readonly version: number;
  readonly expires_at: Date;
  readonly captured_at: Date | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export function paymentOf(row: PaymentRow): Payment {
  return {
    id: row.id,
    orderId: row.order_id,
    userId: row.user_id,
    channel: row.channel,
    amount: Number(row.amount),
    currency: row.currency,
    status: row.status,
    isLive: row.live !== null,
    refundReserved: Number(row.refund_reserved),
    refundedAmount: Number(row.refunded_amount),
    payUrl: row.pay_url,
    version: row.version,
    expiresAt: row.expires_at,
    capturedAt: row.captured_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export function paymentView(payment: Payment): PaymentView {
  return {
    id: payment.id,
    order_id: payment.orderId,
    user_id: payment.userId,
    amount: payment.amount,
    refunded_amount: payment.refundedAmount,
    currency: payment.currency,
    status: payment.status,
    channel: payment.channel,
    pay_url: payment.payUrl,
    created_at: payment.createdAt.toISOString(),
    updated_at: payment.updatedAt.toISOString(),
  };
}

export interface CallbackRow {
  readonly id: string;
  readonly order_id: string;
  readonly payment_id: string;
  readonly source: StoredCallback["source"];
  readonly outcome: StoredCallback["outcome"];
  readonly received_at: Date;
}

export function callbackOf(row: CallbackRow): StoredCallback {
  return {
    id: row.id,
    paymentId: row.payment_id,
    source: row.source,
    outcome: row.outcome,
    receivedAt: row.received_at,
  };
}

/** A refund that was asked for; amounts are minor units. */
export interface Refund {
  readonly id: string;
  readonly paymentId: string;
  readonly amount: number;
  readonly reason: string;
  readonly status: RefundView["status"];
  readonly attempts: number;
  readonly createdAt: Date;
}

export interface RefundRow {
  readonly id: string;
  readonly payment_id: string;
  readonly amount: string;
  readonly reason: string;
  readonly status: RefundView["status"];
  readonly attempts: number;
  readonly created_at: Date;
}

export function refundOf(row: RefundRow): Refund {
  return {
    id: row.id,
    paymentId: row.payment_id,
    amount: Number(row.amount),
    reason: row.reason,
    status: row.status,
    attempts: row.attempts,
    createdAt: row.created_at,
  };
}

export function refundView(refund: Refund): RefundView {
  return {
    id: refund.id,
    payment_id: refund.paymentId,
    amount: refund.amount,
    reason: refund.reason,
    status: refund.status,
    created_at: refund.createdAt.toISOString(),
  };
}
