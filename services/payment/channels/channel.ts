// A payment channel as the service sees it: how to have money collected, how to end that, how to
// give it back, and how to believe what its provider sends. One implementation per provider.
//
// Every operation is idempotent by the payment's or the refund's own id. Errors of all of them:
// PAYMENT_PROVIDER_UNAVAILABLE when the provider does not answer or refuses; the outcome is then
// unknown and the same call is to be made again.
import type { PaymentChannel } from "../../contracts/payment.ts";

/** Amounts are minor units. */
export interface Charge {
  readonly paymentId: string;
  readonly orderId: string;
  readonly amount: number;
  readonly currency: string;
  readonly expiresAt: Date;
}

/** What the provider knows of one charge. */
export interface ChargeState {
  readonly paymentId: string;
  /** `closed`: no money was taken and none will be. */
  readonly status: "open" | "captured" | "closed";
  /** Captured amount, minor units; 0 unless captured. */
  readonly amount: number;
  /** The provider's own number; empty unless captured. */
  readonly providerRef: string;
}

export interface RefundOrder {
  readonly refundId: string;
  readonly paymentId: string;
  readonly amount: number;
  /** The whole captured amount of the payment. */
  readonly total: number;
  readonly currency: string;
  readonly reason: string;
}

/** A callback whose signature was right and whose body has the channel's form. */
export interface VerifiedCallback {
  /** Names the notification for ever: sent again it has the same one. At most WEBHOOK_ID_MAX. */
  readonly webhookId: string;
  readonly paymentId: string;
  readonly outcome: "succeeded" | "failed";
  readonly amount: number;
  readonly providerRef: string;
}

export const WEBHOOK_ID_MAX = 190;
export const PROVIDER_REF_MAX = 128;

export interface CallbackRequest {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawBody: Buffer;
}

export interface CapturedCharge {
  readonly paymentId: string;
  readonly amount: number;
  readonly providerRef: string;
}

export interface Channel {
  readonly name: PaymentChannel;
  /** Answers where the buyer pays, at the same index; null when the channel has no such page. */
  register(charges: readonly Charge[]): Promise<readonly (string | null)[]>;
  /** Ends the charges, or tells that they are captured; one state per charge, none is open. */
  close(paymentIds: readonly string[]): Promise<readonly ChargeState[]>;
  query(paymentIds: readonly string[]): Promise<readonly ChargeState[]>;
  /** Resolves when the provider has taken the refund on. */
  refund(order: RefundOrder): Promise<void>;
  /** One page of what was captured on a UTC day, by payment id; undefined when the provider has no
   * such list. */
  listCaptured:
    ((day: string, after: string, limit: number) => Promise<readonly CapturedCharge[]>) | undefined;
  /**
   * @throws WEBHOOK_SIGNATURE_INVALID, or VALIDATION_FAILED for a signed body of another form. Null
   * for a genuine notification that says nothing about a payment's end.
   */
  verify(request: CallbackRequest): VerifiedCallback | null;
}

/** The mock channel can be told what its buyer does. */
export interface SimulatingChannel extends Channel {
  /** @throws PAYMENT_ILLEGAL_STATE when the provider knows another end of the charge already. */
  simulate(charge: Charge, outcome: "succeeded" | "failed"): Promise<void>;
}
