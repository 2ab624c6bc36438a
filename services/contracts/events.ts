// Durable events: payload schemas and who consumes them. Payloads are validated when they are
// stored and again when they are consumed. Past tense, versioned; a new meaning is a new version.
import { type Static, Type } from "@sinclair/typebox";
import { Id, Money, Nullable, Strict, Timestamp } from "../kernel/schema.ts";

/** Services that own a schema, an outbox and a JetStream stream. */
export const EVENT_OWNERS = [
  "user",
  "product",
  "inventory",
  "order",
  "payment",
  "seckill",
] as const;
export type EventOwner = (typeof EVENT_OWNERS)[number];

const OrderLine = Strict({
  sku_id: Id,
  quantity: Type.Integer({ minimum: 1 }),
  price: Money,
});

const OrderFact = {
  order_id: Id,
  user_id: Id,
  /** Set when the order came out of a flash sale. */
  sale_id: Nullable(Id),
};

export const EVENT_CATALOGUE = {
  "product.created.v1": {
    consumers: ["inventory", "product"],
    payload: Strict({
      product_id: Id,
      skus: Type.Array(Strict({ sku_id: Id, stock: Type.Integer({ minimum: 0 }) })),
    }),
  },
  "product.changed.v1": {
    consumers: ["product"],
    payload: Strict({ product_id: Id, version: Type.Integer({ minimum: 1 }) }),
  },
  "order.created.v1": {
    consumers: [],
    payload: Strict({
      ...OrderFact,
      lines: Type.Array(OrderLine),
      total_price: Money,
      currency: Type.String(),
      expires_at: Timestamp,
    }),
  },
  "order.payment_due.v1": {
    consumers: [],
    payload: Strict({ ...OrderFact, reason: Type.String() }),
  },
  "order.paid.v1": {
    consumers: ["inventory"],
    payload: Strict({
      ...OrderFact,
      payment_id: Id,
      total_price: Money,
      lines: Type.Array(OrderLine),
    }),
  },
  "order.cancelled.v1": {
    consumers: ["inventory", "seckill"],
    payload: Strict({ ...OrderFact, reason: Type.String(), lines: Type.Array(OrderLine) }),
  },
  "order.refunded.v1": {
    consumers: ["inventory"],
    payload: Strict({ ...OrderFact, lines: Type.Array(OrderLine) }),
  },
  "payment.succeeded.v1": {
    consumers: ["order"],
    payload: Strict({
      payment_id: Id,
      order_id: Id,
      user_id: Id,
      amount: Money,
      paid_at: Timestamp,
    }),
  },
  "payment.refunded.v1": {
    consumers: ["order"],
    payload: Strict({
      payment_id: Id,
      order_id: Id,
      refund_id: Id,
      /** This refund. */
      amount: Money,
      /** All refunds of the payment so far, this one included. */
      refunded_amount: Money,
      /** True when the whole captured amount is given back. */
      is_full: Type.Boolean(),
      reason: Type.String(),
    }),
  },
  /** Buyers let into a sale by one commit. Carries all an order needs; nothing is looked up. */
  "seckill.admitted.v1": {
    consumers: ["order"],
    payload: Strict({
      sale_id: Id,
      epoch: Type.Integer({ minimum: 1 }),
      sku_id: Id,
      product_id: Id,
      name: Type.String(),
      price: Money,
      currency: Type.String(),
      admissions: Type.Array(Strict({ order_id: Id, user_id: Id }), { minItems: 1 }),
    }),
  },
  /** A sale has ended; `returned` units were never bought. */
  "seckill.closed.v1": {
    consumers: ["inventory"],
    payload: Strict({ sale_id: Id, sku_id: Id, returned: Type.Integer({ minimum: 0 }) }),
  },
  /** A unit came back after its sale had ended. */
  "seckill.unit_returned.v1": {
    consumers: ["inventory"],
    payload: Strict({ sale_id: Id, sku_id: Id, order_id: Id }),
  },
} as const satisfies Record<
  string,
  { readonly consumers: readonly EventOwner[]; readonly payload: ReturnType<typeof Strict> }
>;

export type EventName = keyof typeof EVENT_CATALOGUE;
export type EventPayload<Name extends EventName> = Static<
  (typeof EVENT_CATALOGUE)[Name]["payload"]
>;

/** An event to be stored in the outbox by the transaction that made it true. */
export type NewEvent = {
  [Name in EventName]: {
    readonly name: Name;
    readonly aggregateId: string;
    /** Counts the changes of the aggregate from 1; a consumer ignores what is older. */
    readonly aggregateVersion: number;
    readonly payload: EventPayload<Name>;
  };
}[EventName];

/** The service that publishes an event: the first word of its name. */
export function eventOwner(name: EventName): EventOwner {
  return name.slice(0, name.indexOf(".")) as EventOwner;
}
