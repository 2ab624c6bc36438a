// An order and everything that may happen to it. Pure: the caller holds the row lock and gives the
// database's time. A command that has been carried out before changes nothing; one that the table
// does not allow is ORDER_ILLEGAL_TRANSITION.
//
//   (new) ─▶ placing ─▶ pending_payment ─▶ paid ─▶ shipped ─▶ completed
//               │             │  ▲ none    ▲ │
//               ▼             ▼            │ ▼
//            failed        closing ────────┘ refunded
//                             │
//                             ▼
//                         cancelled
//
// An order out of a flash sale begins `pending_payment`: the sale holds its unit. One that cannot be
// made begins `cancelled`, so that its unit comes back the only way a unit comes back.
//
// `placing` and `failed` are never shown. `closing` asks the payment provider for the last word, so
// that an order is cancelled only when it can no longer be paid.
import type { Decision } from "../../contracts/decision.ts";
import { PlatformError } from "../../contracts/errors.ts";
import type { NewEvent } from "../../contracts/events.ts";
import type { OrderStatus } from "../../contracts/order.ts";
import type { Address } from "../../contracts/user.ts";
import { assert, must } from "../../kernel/assert.ts";

export type Status = OrderStatus | "placing" | "failed";
export type Who = "customer" | "admin" | "system";

export interface Actor {
  readonly who: Who;
  /** User id; null for the system. */
  readonly id: string | null;
}

export const SYSTEM: Actor = { who: "system", id: null };

export interface OrderLine {
  readonly skuId: string;
  readonly productId: string;
  /** As it was called and priced when the order was placed. Minor units. */
  readonly name: string;
  readonly quantity: number;
  readonly price: number;
}

export interface Order {
  readonly id: string;
  readonly userId: string;
  readonly status: Status;
  /** Counts the changes of status from 1. */
  readonly version: number;
  readonly lines: readonly OrderLine[];
  /** What the buyer pays: the lines less the discount. Minor units, as all money here. */
  readonly totalPrice: number;
  readonly discount: number;
  readonly refundedAmount: number;
  readonly currency: string;
  readonly address: Address | null;
  readonly note: string | null;
  readonly saleId: string | null;
  /** Why it is being or was cancelled. */
  readonly cancelReason: string | null;
  readonly paymentId: string | null;
  /** Null while `placing` and when `failed` from there. */
  readonly expiresAt: Date | null;
  readonly paidAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

interface TransitionRule {
  /** Null: the order comes into being. */
  readonly from: Status | null;
  readonly to: Status;
  readonly who: readonly Who[];
}

export const ORDER_TRANSITIONS: readonly TransitionRule[] = [
  { from: null, to: "placing", who: ["customer"] },
  { from: null, to: "pending_payment", who: ["system"] },
  { from: null, to: "cancelled", who: ["system"] },
  { from: "placing", to: "pending_payment", who: ["system"] },
  { from: "placing", to: "failed", who: ["system"] },
  { from: "pending_payment", to: "closing", who: ["customer", "admin", "system"] },
  { from: "pending_payment", to: "paid", who: ["system"] },
  { from: "closing", to: "paid", who: ["system"] },
  { from: "closing", to: "cancelled", who: ["system"] },
  { from: "paid", to: "shipped", who: ["admin"] },
  { from: "paid", to: "refunded", who: ["system"] },
  { from: "shipped", to: "completed", who: ["customer", "admin"] },
];

/** One row of the order's history. */
export interface Transition {
  readonly orderId: string;
  /** The version it leads to. */
  readonly version: number;
  readonly from: Status | null;
  readonly to: Status;
  readonly reason: string | null;
  readonly actor: Actor;
  readonly at: Date;
}

export interface OrderDecision extends Decision<Order> {
  /** False when the command has been carried out before: nothing is to be written. */
  readonly isChange: boolean;
  /** Null when the status stays. */
  readonly transition: Transition | null;
}

export type CloseReason = "payment_timeout" | "cancelled_by_buyer" | "cancelled_by_admin";
export type FailReason = "out_of_stock" | "refused" | "abandoned";

export interface Move {
  readonly to: Status;
  readonly actor: Actor;
  readonly at: Date;
  readonly reason?: string;
}

type Changes = Partial<Omit<Order, "id" | "status" | "version" | "updatedAt">>;

export function canMove(from: Status | null, to: Status, who: Who): boolean {
  return ORDER_TRANSITIONS.some(
    (rule) => rule.from === from && rule.to === to && rule.who.includes(who),
  );
}

function move(order: Order, { to, actor, at, reason }: Move, changes: Changes = {}): OrderDecision {
  if (!canMove(order.status, to, actor.who)) throw illegal(order, to);
  const version = order.version + 1;
  return {
    state: { ...order, ...changes, status: to, version, updatedAt: at },
    events: [],
    isChange: true,
    transition: {
      orderId: order.id,
      version,
      from: order.status,
      to,
      reason: reason ?? null,
      actor,
      at,
    },
  };
}

function illegal(order: Order, to: Status): PlatformError {
  return new PlatformError("ORDER_ILLEGAL_TRANSITION", { status: order.status, wanted: to });
}

function unchanged(order: Order): OrderDecision {
  return { state: order, events: [], isChange: false, transition: null };
}

function withEvent(decision: OrderDecision, event: (order: Order) => NewEvent): OrderDecision {
  return { ...decision, events: [...decision.events, event(decision.state)] };
}

/** The first state of an order, whose lines have been priced. */
export type Draft = Pick<
  Order,
  "id" | "userId" | "lines" | "totalPrice" | "discount" | "currency" | "address" | "note" | "saleId"
>;

export function place(draft: Draft, at: Date): OrderDecision {
  assert(draft.lines.length > 0 && draft.totalPrice > 0, "an order has lines and a price");
  const actor: Actor = { who: "customer", id: draft.userId };
  assert(canMove(null, "placing", actor.who), "customers place orders");
  return {
    state: {
      ...draft,
      status: "placing",
      version: 1,
      refundedAmount: 0,
      cancelReason: null,
      paymentId: null,
      expiresAt: null,
      paidAt: null,
      createdAt: at,
      updatedAt: at,
    },
    events: [],
    isChange: true,
    transition: {
      orderId: draft.id,
      version: 1,
      from: null,
      to: "placing",
      reason: null,
      actor,
      at,
    },
  };
}

/** A buyer was let into a flash sale; seckill.admitted.v1 has told of it, so no event does again. */
export function admit(draft: Draft, at: Date, windowMs: number): OrderDecision {
  return begin(draft, { status: "pending_payment", at, expiresAt: at.getTime() + windowMs });
}

/** Admitted, but the order cannot be made: cancelled from its beginning, which frees its unit. */
export function failCreation(draft: Draft, at: Date): OrderDecision {
  const decision = begin(draft, {
    status: "cancelled",
    at,
    expiresAt: at.getTime(),
    reason: CREATION_FAILED,
  });
  return withEvent(decision, (state) => cancelledEvent(state, CREATION_FAILED));
}

const CREATION_FAILED = "creation_failed";

function begin(
  draft: Draft,
  start: {
    readonly status: "pending_payment" | "cancelled";
    readonly at: Date;
    /** Milliseconds since the Unix epoch. */
    readonly expiresAt: number;
    readonly reason?: string;
  },
): OrderDecision {
  const { status, at, expiresAt, reason = null } = start;
  assert(draft.lines.length > 0 && draft.totalPrice > 0, "an order has lines and a price");
  assert(canMove(null, status, SYSTEM.who), `orders of a sale begin ${status}`);
  return {
    state: {
      ...draft,
      status,
      version: 1,
      refundedAmount: 0,
      cancelReason: reason,
      paymentId: null,
      expiresAt: new Date(expiresAt),
      paidAt: null,
      createdAt: at,
      updatedAt: at,
    },
    events: [],
    isChange: true,
    transition: {
      orderId: draft.id,
      version: 1,
      from: null,
      to: status,
      reason,
      actor: SYSTEM,
      at,
    },
  };
}

/** The stock is reserved: the order can be paid for `windowMs` from now. */
export function confirm(order: Order, at: Date, windowMs: number): OrderDecision {
  const expiresAt = new Date(at.getTime() + windowMs);
  const decision = move(order, { to: "pending_payment", actor: SYSTEM, at }, { expiresAt });
  return withEvent(decision, (state) => ({
    name: "order.created.v1",
    aggregateId: state.id,
    aggregateVersion: state.version,
    payload: {
      ...factOf(state),
      lines: linesOf(state),
      total_price: state.totalPrice,
      currency: state.currency,
      expires_at: expiresAt.toISOString(),
    },
  }));
}

/** It never became an order; nobody outside has seen it. */
export function fail(order: Order, reason: FailReason, at: Date): OrderDecision {
  if (order.status === "failed") return unchanged(order);
  return move(order, { to: "failed", actor: SYSTEM, at, reason });
}

/** Begins the end of an unpaid order; see close-order.saga.ts for the rest. */
export function startClosing(
  order: Order,
  { reason, actor, at }: { reason: CloseReason; actor: Actor; at: Date },
): OrderDecision {
  if (order.status === "closing" || order.status === "cancelled") return unchanged(order);
  const decision = move(order, { to: "closing", actor, at, reason }, { cancelReason: reason });
  return withEvent(decision, (state) => ({
    name: "order.payment_due.v1",
    aggregateId: state.id,
    aggregateVersion: state.version,
    payload: { ...factOf(state), reason },
  }));
}

export interface CapturedPayment {
  readonly paymentId: string;
  readonly paidAt: Date;
}

/**
 * The payment service has judged that the money came in time. A second payment of a paid order
 * changes nothing here: the payment service gives that money back by itself.
 */
export function pay(order: Order, payment: CapturedPayment, at: Date): OrderDecision {
  if (order.paymentId !== null) return unchanged(order);
  const decision = move(
    order,
    { to: "paid", actor: SYSTEM, at },
    { paymentId: payment.paymentId, paidAt: payment.paidAt, cancelReason: null },
  );
  return withEvent(decision, (state) => ({
    name: "order.paid.v1",
    aggregateId: state.id,
    aggregateVersion: state.version,
    payload: {
      ...factOf(state),
      payment_id: payment.paymentId,
      total_price: state.totalPrice,
      lines: linesOf(state),
    },
  }));
}

/** The provider can take no more money for it. */
export function cancel(order: Order, at: Date): OrderDecision {
  if (order.status === "cancelled") return unchanged(order);
  if (!canMove(order.status, "cancelled", SYSTEM.who)) throw illegal(order, "cancelled");
  const reason = must(order.cancelReason, "the reason the order is closing for");
  const decision = move(order, { to: "cancelled", actor: SYSTEM, at, reason });
  return withEvent(decision, (state) => cancelledEvent(state, reason));
}

function cancelledEvent(state: Order, reason: string): NewEvent {
  return {
    name: "order.cancelled.v1",
    aggregateId: state.id,
    aggregateVersion: state.version,
    payload: { ...factOf(state), reason, lines: linesOf(state) },
  };
}

export function ship(order: Order, actor: Actor, at: Date): OrderDecision {
  if (order.status === "shipped") return unchanged(order);
  return move(order, { to: "shipped", actor, at });
}

export function complete(order: Order, actor: Actor, at: Date): OrderDecision {
  if (order.status === "completed") return unchanged(order);
  return move(order, { to: "completed", actor, at });
}

export interface RefundBooked {
  readonly paymentId: string;
  /** All refunds of the payment so far, in minor units. */
  readonly refundedAmount: number;
  readonly isFull: boolean;
}

/**
 * Money of the order's payment was given back. Sums only grow, so refunds may come in any order. A
 * refund of another payment (late or duplicate) is not the order's. One that overtakes the news of
 * the payment is VERSION_CONFLICT: to be tried again when the order is paid or cancelled.
 */
export function refund(order: Order, booked: RefundBooked, at: Date): OrderDecision {
  if (order.status === "pending_payment" || order.status === "closing") {
    throw new PlatformError("VERSION_CONFLICT", { status: order.status });
  }
  if (order.paymentId !== booked.paymentId) return unchanged(order);
  const refundedAmount = Math.max(order.refundedAmount, booked.refundedAmount);
  if (booked.isFull && order.status === "paid") {
    const decision = move(order, { to: "refunded", actor: SYSTEM, at }, { refundedAmount });
    return withEvent(decision, (state) => ({
      name: "order.refunded.v1",
      aggregateId: state.id,
      aggregateVersion: state.version,
      payload: { ...factOf(state), lines: linesOf(state) },
    }));
  }
  if (refundedAmount === order.refundedAmount) return unchanged(order);
  return {
    state: { ...order, refundedAmount, updatedAt: at },
    events: [],
    isChange: true,
    transition: null,
  };
}

export function isShown(status: Status): status is OrderStatus {
  return status !== "placing" && status !== "failed";
}

function factOf(order: Order): { order_id: string; user_id: string; sale_id: string | null } {
  return { order_id: order.id, user_id: order.userId, sale_id: order.saleId };
}

function linesOf(order: Order): { sku_id: string; quantity: number; price: number }[] {
  return order.lines.map(({ skuId, quantity, price }) => ({ sku_id: skuId, quantity, price }));
}
