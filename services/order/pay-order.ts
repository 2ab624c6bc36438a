// Opening the payment of an order. The payment service answers the order's open payment to every
// repetition, so the key of a request is written once its answer is known.
import type { Database } from "../../mixins/database/database.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import type { PlatformCallContext } from "../../mixins/service.ts";
import { call } from "../contracts/actions.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Payment, PaymentChannel } from "../contracts/payment.ts";
import { must } from "../kernel/assert.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { Order } from "./domain/order.ts";
import { ORDER_FAILPOINTS } from "./failpoints.ts";
import { answerAgain, findKey } from "./order-keys.ts";

export interface PayOrderDeps {
  readonly database: Database;
  readonly failpoint: Failpoint;
}

export interface PayOrderRequest {
  readonly ctx: PlatformCallContext;
  readonly channel: PaymentChannel;
  readonly claim: IdempotencyClaim | undefined;
  /** The caller's own order; throws when there is none. */
  readonly findOrder: () => Promise<Order>;
}

export interface OpenedPayment {
  readonly payment: Payment;
  readonly isReplay: boolean;
}

/**
 * Errors: ORDER_ILLEGAL_TRANSITION unless the order waits for its payment, those of payment.create
 * and of Idempotency-Keys.
 */
export async function payOrder(
  { database, failpoint }: PayOrderDeps,
  { ctx, channel, claim, findOrder }: PayOrderRequest,
): Promise<OpenedPayment> {
  if (claim !== undefined) {
    const known = await findKey<Payment>(database, claim);
    if (known.kind !== "fresh") return { payment: answerAgain(known), isReplay: true };
  }
  const payment = await openPayment(ctx, await findOrder(), channel);
  await failpoint(ORDER_FAILPOINTS.payAfterCreate);
  if (claim === undefined) return { payment, isReplay: false };
  const { value, isReplay } = await database.transaction("order.pay.key", (tx) =>
    runIdempotent(tx, claim, () => Promise.resolve(payment)),
  );
  return { payment: value, isReplay };
}

async function openPayment(
  ctx: PlatformCallContext,
  order: Order,
  channel: PaymentChannel,
): Promise<Payment> {
  if (order.status !== "pending_payment") {
    throw new PlatformError("ORDER_ILLEGAL_TRANSITION", { status: order.status });
  }
  return await call(ctx, "payment.create", {
    order_id: order.id,
    user_id: order.userId,
    amount: order.totalPrice,
    currency: order.currency,
    channel,
    expires_at: must(order.expiresAt, "the deadline of an unpaid order").toISOString(),
  });
}
