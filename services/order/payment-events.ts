// What payments do to orders. Batches share a transaction; one order may occur more than once.
import { consumer, type ConsumedEvent, type EventConsumer } from "../../mixins/channels/channel.ts";
import type { Transaction } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { EventPayload } from "../contracts/events.ts";
import { type Order, type OrderDecision, pay, refund } from "./domain/order.ts";
import { lockOrders, writeDecisions } from "./order.repository.ts";

export interface PaymentEventsDeps {
  readonly log: Log;
  /** Called after a commit that may have left events for the relay. */
  readonly onEvents: () => void;
}

export function paymentConsumers({ log, onEvents }: PaymentEventsDeps): readonly EventConsumer[] {
  return [
    consumer({
      event: "payment.succeeded.v1",
      apply: (tx, events) =>
        applyToOrders(tx, events, (order, payload, now) => applySuccess(order, payload, now, log)),
      committed: onEvents,
    }),
    consumer({
      event: "payment.refunded.v1",
      apply: (tx, events) => applyToOrders(tx, events, applyRefund),
      committed: onEvents,
    }),
  ];
}

type PaymentEvent = "payment.succeeded.v1" | "payment.refunded.v1";

/** Errors: ORDER_NOT_FOUND and what `decide` throws; the event becomes a dead letter in the end. */
async function applyToOrders<Name extends PaymentEvent>(
  tx: Transaction,
  events: readonly ConsumedEvent<Name>[],
  decide: (order: Order, payload: EventPayload<Name>, now: Date) => OrderDecision,
): Promise<void> {
  const { orders: locked, now } = await lockOrders(
    tx,
    events.map(({ payload }) => payload.order_id),
  );
  const orders = new Map(locked);
  const decisions = events.map(({ payload }) => {
    const order = orders.get(payload.order_id);
    if (order === undefined) throw new PlatformError("ORDER_NOT_FOUND");
    const decision = decide(order, payload, now);
    orders.set(order.id, decision.state);
    return decision;
  });
  await writeDecisions(tx, decisions);
}

function applySuccess(
  order: Order,
  payload: EventPayload<"payment.succeeded.v1">,
  now: Date,
  log: Log,
): OrderDecision {
  const { payment_id: paymentId, amount, paid_at: paidAt } = payload;
  if (order.paymentId !== null && order.paymentId !== paymentId) {
    log.warn({ order_id: order.id, payment_id: paymentId }, "a paid order was paid again");
  }
  if (amount !== order.totalPrice) throw new PlatformError("PAYMENT_AMOUNT_MISMATCH");
  return pay(order, { paymentId, paidAt: new Date(paidAt) }, now);
}

function applyRefund(
  order: Order,
  payload: EventPayload<"payment.refunded.v1">,
  now: Date,
): OrderDecision {
  const { payment_id: paymentId, refunded_amount: refundedAmount, is_full: isFull } = payload;
  return refund(order, { paymentId, refundedAmount, isFull }, now);
}
