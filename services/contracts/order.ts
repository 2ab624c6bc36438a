// Contract of the order service.
import { type Static, Type } from "@sinclair/typebox";
import {
  Id,
  Money,
  Nullable,
  PAGE_PARAMS,
  Page,
  SortParam,
  Strict,
  Timestamp,
} from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";
import { Payment, PaymentChannel } from "./payment.ts";
import { LINE_QUANTITY_MAX, ORDER_LINES_MAX } from "./product.ts";
import { Address } from "./user.ts";

/** Statuses a client can see. `placing` and `failed` are internal and never shown. */
export const ORDER_STATUSES = [
  "pending_payment",
  "closing",
  "paid",
  "cancelled",
  "shipped",
  "completed",
  "refunded",
] as const;
export const OrderStatus = Type.Union(ORDER_STATUSES.map((status) => Type.Literal(status)));
export type OrderStatus = (typeof ORDER_STATUSES)[number];

export const OrderItem = Type.Object({
  sku_id: Id,
  product_id: Id,
  name: Type.String(),
  quantity: Type.Integer(),
  price: Money,
});

export const Order = Type.Object({
  id: Id,
  user_id: Id,
  status: OrderStatus,
  items: Type.Array(OrderItem),
  total_price: Money,
  discount: Money,
  refunded_amount: Money,
  currency: Type.String(),
  address: Nullable(Address),
  note: Nullable(Type.String()),
  sale_id: Nullable(Id),
  /** Why it was cancelled, when it was. */
  cancel_reason: Nullable(Type.String()),
  expires_at: Timestamp,
  paid_at: Nullable(Timestamp),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export type Order = Static<typeof Order>;

/** The lines of a request; the same SKU twice is one fault. */
const Items = Type.Array(
  Strict({ sku_id: Id, quantity: Type.Integer({ minimum: 1, maximum: LINE_QUANTITY_MAX }) }),
  { minItems: 1, maxItems: ORDER_LINES_MAX },
);
const CouponCode = Type.String({ minLength: 1, maxLength: 64 });

/** Orders of one question about statuses. */
export const STATUS_IDS_MAX = 500;

const TAG = { tag: "Orders" } as const;

export const orderContract = defineContract({
  prepare: {
    params: Strict({ items: Items, coupon_code: Type.Optional(CouponCode) }),
    result: Type.Object({
      items: Type.Array(
        Type.Object({
          sku_id: Id,
          product_id: Id,
          name: Type.String(),
          quantity: Type.Integer(),
          price: Money,
          is_available: Type.Boolean(),
        }),
      ),
      total_price: Money,
      discount: Money,
      currency: Type.String(),
    }),
    auth: "customer",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/orders/prepare",
      summary: "Price and availability of every line; holds nothing",
      ...TAG,
    },
  },
  place: {
    params: Strict({
      items: Items,
      address_id: Type.Optional(Id),
      coupon_code: Type.Optional(CouponCode),
      note: Type.Optional(Type.String({ maxLength: 500 })),
    }),
    result: Order,
    auth: "customer",
    idempotent: false,
    idempotencyKey: "required",
    rest: { method: "POST", path: "/orders", status: 201, summary: "Place an order", ...TAG },
  },
  list: {
    params: Strict({
      ...PAGE_PARAMS,
      status: Type.Optional(OrderStatus),
      sort: SortParam(["created_at", "total_price"]),
    }),
    result: Page(Order),
    auth: "customer",
    idempotent: true,
    rest: { method: "GET", path: "/orders", summary: "Own orders; all orders for admins", ...TAG },
  },
  get: {
    params: Strict({ id: Id }),
    result: Order,
    auth: "customer",
    idempotent: true,
    rest: { method: "GET", path: "/orders/:id", summary: "An order", ...TAG },
  },
  cancel: {
    params: Strict({ id: Id }),
    result: Order,
    auth: "customer",
    idempotent: true,
    rest: { method: "POST", path: "/orders/:id/cancel", summary: "Cancel an unpaid order", ...TAG },
  },
  pay: {
    params: Strict({ id: Id, channel: Type.Optional(PaymentChannel) }),
    result: Payment,
    auth: "customer",
    idempotent: true,
    idempotencyKey: "accepted",
    rest: {
      method: "POST",
      path: "/orders/:id/pay",
      status: 201,
      summary: "Open a payment, or answer the open one",
      ...TAG,
    },
  },
  /** The same as `pay`, by the route of the payments. */
  payByPayment: {
    params: Strict({ order_id: Id, channel: PaymentChannel }),
    result: Payment,
    auth: "customer",
    idempotent: true,
    idempotencyKey: "required",
    rest: {
      method: "POST",
      path: "/payments",
      status: 201,
      summary: "Open a payment for an order",
      tag: "Payments",
    },
  },
  /** Statuses of these orders; unknown ones are left out. */
  statuses: {
    params: Strict({ order_ids: Type.Array(Id, { minItems: 1, maxItems: STATUS_IDS_MAX }) }),
    result: Type.Object({
      items: Type.Array(
        Type.Object({ order_id: Id, status: OrderStatus, reason: Nullable(Type.String()) }),
      ),
    }),
    auth: "internal",
    idempotent: true,
  },
  /** How an order came to its status, oldest first. */
  history: {
    params: Strict({ order_id: Id }),
    result: Type.Object({
      items: Type.Array(
        Type.Object({ at: Timestamp, status: Type.String(), reason: Nullable(Type.String()) }),
      ),
    }),
    auth: "internal",
    idempotent: true,
  },
  /** The orders of a flash sale, added up. */
  ofSale: {
    params: Strict({ sale_id: Id }),
    result: Type.Object({
      statuses: Type.Array(
        Type.Object({
          status: OrderStatus,
          orders: Type.Integer(),
          /** Sums over these orders, minor units. */
          total_price: Type.Integer(),
          refunded: Type.Integer(),
        }),
      ),
    }),
    auth: "internal",
    idempotent: true,
    timeoutMs: 10_000,
  },
  /** Those of these orders that are there, for the audit of their sale. */
  ofAdmissions: {
    params: Strict({ order_ids: Type.Array(Id, { minItems: 1, maxItems: STATUS_IDS_MAX }) }),
    result: Type.Object({
      items: Type.Array(
        Type.Object({
          order_id: Id,
          user_id: Id,
          sale_id: Nullable(Id),
          status: OrderStatus,
          total_price: Money,
          /** Of its first line. */
          sku_id: Nullable(Id),
          /** Over all lines. */
          units: Type.Integer(),
        }),
      ),
    }),
    auth: "internal",
    idempotent: true,
  },
  ship: {
    params: Strict({ id: Id }),
    result: Order,
    auth: "admin",
    idempotent: true,
    rest: { method: "POST", path: "/orders/:id/ship", summary: "Mark as shipped", ...TAG },
  },
  complete: {
    params: Strict({ id: Id }),
    result: Order,
    auth: "customer",
    idempotent: true,
    rest: { method: "POST", path: "/orders/:id/complete", summary: "Confirm receipt", ...TAG },
  },
});
