// Contract of the payment service: payments, callbacks, refunds, reconciliation.
import { type Static, Type } from "@sinclair/typebox";
import { Id, Money, Nullable, PAGE_PARAMS, Page, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";

export const CLOSE_ORDERS_MAX = 200;

export const PaymentChannel = Type.Union([
  Type.Literal("mock"),
  Type.Literal("alipay"),
  Type.Literal("wechat"),
]);
export type PaymentChannel = Static<typeof PaymentChannel>;

export const PaymentStatus = Type.Union([
  Type.Literal("pending"),
  Type.Literal("succeeded"),
  Type.Literal("failed"),
  Type.Literal("closed"),
  Type.Literal("refunded"),
]);
export type PaymentStatus = Static<typeof PaymentStatus>;

export const Payment = Type.Object({
  id: Id,
  order_id: Id,
  user_id: Id,
  amount: Money,
  refunded_amount: Money,
  currency: Type.String(),
  status: PaymentStatus,
  channel: PaymentChannel,
  /** Where the buyer pays, when the channel has such a page. */
  pay_url: Nullable(Type.String()),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export type Payment = Static<typeof Payment>;

export const Refund = Type.Object({
  id: Id,
  payment_id: Id,
  amount: Money,
  reason: Type.String(),
  status: Type.Union([Type.Literal("pending"), Type.Literal("succeeded")]),
  created_at: Timestamp,
});
export type Refund = Static<typeof Refund>;

export const ReconciliationDifference = Type.Object({
  id: Id,
  day: Type.String(),
  channel: PaymentChannel,
  payment_id: Nullable(Id),
  provider_ref: Nullable(Type.String()),
  kind: Type.Union([
    Type.Literal("missing_here"),
    Type.Literal("missing_there"),
    Type.Literal("amount_differs"),
  ]),
  ours: Nullable(Money),
  theirs: Nullable(Money),
  created_at: Timestamp,
});
export type ReconciliationDifference = Static<typeof ReconciliationDifference>;

/** `opened`: a payment; `succeeded` and `failed`: what its provider has said of it; `refund_requested` and
 * `refunded`: money on its way back, and back. */
const PAYMENT_HISTORY_KINDS = [
  "opened",
  "succeeded",
  "failed",
  "refund_requested",
  "refunded",
] as const;
export const PaymentHistoryEntry = Type.Object({
  at: Timestamp,
  kind: Type.Union(PAYMENT_HISTORY_KINDS.map((kind) => Type.Literal(kind))),
  payment_id: Id,
  channel: PaymentChannel,
  amount: Money,
  /** What a provider's word has led to, or why money goes back; null where there is nothing to say. */
  reason: Nullable(Type.String()),
});
export type PaymentHistoryEntry = Static<typeof PaymentHistoryEntry>;

const Day = Type.String({ format: "date", description: "A day in UTC, YYYY-MM-DD" });
const TAG = { tag: "Payments" } as const;
const ADMIN = { tag: "Administration" } as const;

export const paymentContract = defineContract({
  get: {
    params: Strict({ id: Id }),
    result: Payment,
    auth: "customer",
    idempotent: true,
    rest: { method: "GET", path: "/payments/:id", summary: "A payment", ...TAG },
  },
  simulate: {
    params: Strict({
      id: Id,
      outcome: Type.Union([Type.Literal("succeeded"), Type.Literal("failed")]),
    }),
    result: Payment,
    auth: "customer",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/payments/:id/simulate",
      status: 202,
      summary: "Mock channel: let the provider send its callback",
      ...TAG,
    },
  },
  refund: {
    params: Strict({
      id: Id,
      amount: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 })),
      reason: Type.String({ minLength: 1, maxLength: 200 }),
    }),
    result: Refund,
    auth: "admin",
    idempotent: false,
    idempotencyKey: "required",
    rest: { method: "POST", path: "/payments/:id/refund", status: 201, summary: "Refund", ...TAG },
  },
  reconcile: {
    params: Strict({ day: Day, channel: Type.Optional(PaymentChannel) }),
    result: Type.Object({
      day: Type.String(),
      compared: Type.Integer(),
      differences: Type.Integer(),
    }),
    auth: "admin",
    idempotent: true,
    timeoutMs: 30_000,
    rest: {
      method: "POST",
      path: "/admin/reconciliations",
      summary: "Compare a day with the provider's list and book the differences",
      ...ADMIN,
    },
  },
  listDifferences: {
    params: Strict({ ...PAGE_PARAMS, day: Type.Optional(Day) }),
    result: Page(ReconciliationDifference),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/reconciliations",
      summary: "Booked differences, newest first",
      ...ADMIN,
    },
  },
  /** Opens the order's payment, or answers the open one. PAYMENT_ORDER_CLOSED after close. */
  create: {
    params: Strict({
      order_id: Id,
      user_id: Id,
      amount: Type.Integer({ minimum: 1 }),
      currency: Type.String(),
      channel: PaymentChannel,
      /** A callback stored at or after this time (database clock) comes too late. */
      expires_at: Timestamp,
    }),
    result: Payment,
    auth: "internal",
    idempotent: true,
  },
  /**
   * Ends the chance to pay: applies stored callbacks first, asks the provider where needed, and
   * leaves a tombstone that refuses every later create. One answer per order, in order.
   */
  close: {
    params: Strict({
      order_ids: Type.Array(Id, { minItems: 1, maxItems: CLOSE_ORDERS_MAX }),
    }),
    result: Type.Object({
      items: Type.Array(
        Type.Object({
          order_id: Id,
          outcome: Type.Union([Type.Literal("captured"), Type.Literal("closed")]),
          /** Set when captured. */
          payment_id: Nullable(Id),
          paid_at: Nullable(Timestamp),
        }),
      ),
    }),
    auth: "internal",
    idempotent: true,
    timeoutMs: 10_000,
  },
  /** What happened to an order's money, oldest first. */
  history: {
    params: Strict({ order_id: Id }),
    result: Type.Object({ items: Type.Array(PaymentHistoryEntry) }),
    auth: "internal",
    idempotent: true,
  },
  /** Verifies, checks against the payment and stores a provider's callback; applied later. */
  receiveCallback: {
    params: Strict({
      payment_id: Id,
      /** The request's headers that the channel's signature needs, names in lower case. */
      headers: Type.Record(Type.String(), Type.String()),
      /** The raw body, base64. */
      raw_body: Type.String(),
    }),
    result: Type.Null(),
    auth: "internal",
    idempotent: true,
  },
});
