// Contract of what the gateway answers by itself.
import { type Static, Type } from "@sinclair/typebox";
import { Id, Money, Nullable, Strict, Timestamp } from "../kernel/schema.ts";
import { defineContract } from "./contract.ts";
import { NodeReport } from "./node.ts";
import { SaleStatus } from "./seckill.ts";

/** What everybody is told of a sale. */
export const SaleEvent = Type.Object({
  sale_id: Id,
  title: Type.String(),
  status: SaleStatus,
  quantity: Type.Integer(),
  remaining: Type.Integer(),
  sold: Type.Integer(),
  start_at: Timestamp,
  end_at: Timestamp,
});
export type SaleEvent = Static<typeof SaleEvent>;

/** Nodes shown at once. */
export const NODES_SHOWN_MAX = 200;

export const NodeView = Type.Object({
  id: Type.String(),
  is_available: Type.Boolean(),
  version: Nullable(Type.String()),
  services: Type.Array(Type.String()),
  /** Null when the node did not answer in time. */
  report: Nullable(NodeReport),
});
export type NodeView = Static<typeof NodeView>;

/** One request of a buyer for a unit, by the clock of the gateway that answered it. */
export const BuyAttempt = Type.Object({
  arrived_at: Timestamp,
  answered_at: Timestamp,
  /** `queued`, `waiting`, or the slug of a refusal. */
  outcome: Type.String(),
  request_id: Type.String(),
});
export type BuyAttempt = Static<typeof BuyAttempt>;

/** What gateways ask each other. */
export const gatewayNodeContract = defineContract({
  /** The buyer's last attempts on the node that is asked, oldest first. */
  attemptsOf: {
    params: Strict({ sale_id: Id, user_id: Id }),
    result: Type.Object({
      items: Type.Array(BuyAttempt),
      /** Earlier ones, which are only counted. */
      forgotten: Type.Integer(),
    }),
    auth: "internal",
    idempotent: true,
  },
});

export const gatewayContract = defineContract({
  listNodes: {
    params: Strict({}),
    result: Type.Object({ items: Type.Array(NodeView, { maxItems: NODES_SHOWN_MAX }) }),
    auth: "admin",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/admin/nodes",
      summary: "Every node of the cluster: what it runs and how it is doing",
      tag: "Administration",
    },
  },
  createIdempotencyToken: {
    params: Strict({}),
    result: Type.Object({ token: Type.String(), expires_at: Timestamp }),
    auth: "customer",
    idempotent: false,
    rest: {
      method: "POST",
      path: "/idempotency-tokens",
      status: 201,
      summary: "A server-made key that names one operation",
      tag: "Idempotency",
    },
  },
  /** The default event of the stream; `figures`, `orders` and, with a token, `mine` come beside it. */
  watchSale: {
    params: Strict({ id: Id }),
    result: SaleEvent,
    auth: "optional",
    idempotent: true,
    rest: {
      method: "GET",
      path: "/seckill/sales/:id/events",
      summary: "A flash sale as it goes on (Server-Sent Events)",
      tag: "Flash sales",
      isStream: true,
    },
  },
  /** Signed over the raw bytes: the payment service checks signature and body, in this order. A form
   * (Alipay's) is answered with the text that Alipay waits for. */
  receiveCallback: {
    params: Strict({
      id: Id,
      payment_id: Id,
      status: Type.Union([Type.Literal("succeeded"), Type.Literal("failed")]),
      amount: Money,
      provider_ref: Type.String({ minLength: 1, maxLength: 128 }),
    }),
    result: Type.Null(),
    auth: "public",
    idempotent: true,
    rest: {
      method: "POST",
      path: "/payments/:id/callbacks",
      status: 204,
      summary: "The provider's webhook (Standard Webhooks)",
      tag: "Payments",
      acceptsForm: true,
    },
  },
});
