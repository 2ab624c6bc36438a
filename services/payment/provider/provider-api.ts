// The mock provider's HTTP interface, as both sides see it: paths, bodies, the shared key. Amounts
// are minor units; every request may be sent twice.
import { createHmac } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import { Id, Money, Nullable, Strict } from "../../kernel/schema.ts";

export const PROVIDER_PATHS = {
  register: "/v1/charges",
  close: "/v1/charges/close",
  query: "/v1/charges/query",
  captured: "/v1/charges/captured",
  simulate: "/v1/charges/simulate",
  refund: "/v1/refunds",
} as const;

export const CHARGES_PER_REQUEST_MAX = 200;
export const LIST_PAGE_MAX = 500;

const Currency = Type.String({ pattern: "^[A-Z]{3}$" });
const PaymentIds = Type.Array(Id, { minItems: 1, maxItems: CHARGES_PER_REQUEST_MAX });
const NewCharge = Strict({ payment_id: Id, amount: Money, currency: Currency });

export const RegisterRequest = Strict({
  charges: Type.Array(NewCharge, { minItems: 1, maxItems: CHARGES_PER_REQUEST_MAX }),
});
export type RegisterRequest = Static<typeof RegisterRequest>;

export const ChargesRequest = Strict({ payment_ids: PaymentIds });
export type ChargesRequest = Static<typeof ChargesRequest>;

export const ChargeView = Type.Object({
  payment_id: Id,
  status: Type.Union([
    Type.Literal("open"),
    Type.Literal("captured"),
    Type.Literal("failed"),
    Type.Literal("closed"),
    Type.Literal("unknown"),
  ]),
  amount: Money,
  provider_ref: Type.String(),
  captured_at: Nullable(Type.String()),
});
export type ChargeView = Static<typeof ChargeView>;

/** One state per asked id, in order. */
export const ChargesAnswer = Type.Object({ charges: Type.Array(ChargeView) });
export type ChargesAnswer = Static<typeof ChargesAnswer>;

/** Registers the charge when it is new, then does what its buyer would do. */
export const SimulateRequest = Strict({
  charge: NewCharge,
  outcome: Type.Union([Type.Literal("succeeded"), Type.Literal("failed")]),
});
export type SimulateRequest = Static<typeof SimulateRequest>;

export const RefundRequest = Strict({
  refund_id: Id,
  payment_id: Id,
  amount: Type.Integer({ minimum: 1 }),
});
export type RefundRequest = Static<typeof RefundRequest>;

/** The body of a callback; api.md's own form. */
export const CallbackBody = Strict({
  payment_id: Id,
  status: Type.Union([Type.Literal("succeeded"), Type.Literal("failed")]),
  amount: Money,
  provider_ref: Type.String({ minLength: 1, maxLength: 128 }),
});
export type CallbackBody = Static<typeof CallbackBody>;

/** What the shop shows to be let in; derived, so that one secret is enough for both sides. */
export function providerKey(webhookSecret: string): string {
  return createHmac("sha256", webhookSecret).update("mock-provider-api").digest("base64url");
}
