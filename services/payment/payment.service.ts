// The payment service: payments, callbacks of providers, refunds, reconciliation. How money moves is
// in domain/; when it does is in the modules the handlers call.
import type { ServiceSchema } from "moleculer";
import type { Principal } from "../../mixins/auth/tokens.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import { implement } from "../../mixins/service.ts";
import { errorSlug, PlatformError } from "../contracts/errors.ts";
import { paymentContract } from "../contracts/payment.ts";
import type { PlatformNode } from "../node.ts";
import { createChannels } from "./channels/channels.ts";
import { chargeOf } from "./open-payment.ts";
import { createPaymentNode, type PaymentDeps } from "./payment-node.ts";
import { paymentHistory } from "./payment-history.ts";
import { findPayment } from "./payment.repository.ts";
import { paymentView } from "./payment.rows.ts";
import { reconcile } from "./reconciliation.ts";
import { listDifferences } from "./reconciliation.repository.ts";
import { requestRefund } from "./request-refund.ts";

export function paymentDeps(node: PlatformNode): PaymentDeps {
  const { clock, log, random, failpoint, ids, settings } = node;
  return {
    database: node.database("payment"),
    callbackDatabase: node.database("payment", { name: "callbacks" }),
    channels: createChannels(settings, clock),
    ids,
    clock,
    log,
    random,
    failpoint,
    hintOutbox: () => node.bus().hintOutbox("payment"),
  };
}

export function wire(node: PlatformNode): ServiceSchema {
  return createPaymentService(paymentDeps(node), node.metrics);
}

/** Whose payment it must be; an admin may see everybody's. */
function ownerOf(principal: Principal): string | undefined {
  return principal.role === "admin" ? undefined : principal.userId;
}

export function createPaymentService(
  deps: PaymentDeps,
  metrics: Pick<Metrics, "increment">,
): ServiceSchema {
  const { database, channels } = deps;
  const payments = createPaymentNode(deps);
  return {
    name: "payment",
    actions: implement(paymentContract, {
      get: async ({ params, principal }) =>
        paymentView(await findPayment(database, params.id, ownerOf(principal))),
      simulate: async ({ params, principal }) => {
        const payment = await findPayment(database, params.id, ownerOf(principal));
        if (payment.channel !== "mock") throw new PlatformError("PAYMENT_CHANNEL_UNAVAILABLE");
        await channels.requireMock().simulate(chargeOf(payment), params.outcome);
        return paymentView(payment);
      },
      refund: async ({ params, idempotency, ctx }) => {
        const { id: paymentId, amount, reason } = params;
        const command = { paymentId, amount, reason };
        const { value, isReplay } = await requestRefund(deps, command, idempotency);
        if (isReplay) ctx.meta.isReplay = true;
        payments.wakeRefunds();
        return value;
      },
      reconcile: ({ params }) => reconcile(deps, params.day, params.channel ?? "mock"),
      listDifferences: ({ params }) => listDifferences(database, params),
      create: async ({ params }) =>
        paymentView(
          await payments.opener.open({
            orderId: params.order_id,
            userId: params.user_id,
            amount: params.amount,
            currency: params.currency,
            channel: params.channel,
            expiresAt: new Date(params.expires_at),
          }),
        ),
      close: async ({ params }) => ({
        items: (await payments.closer.close(params.order_ids)).map(({ orderId, captured }) => ({
          order_id: orderId,
          outcome: captured === null ? ("closed" as const) : ("captured" as const),
          payment_id: captured?.paymentId ?? null,
          paid_at: captured?.paidAt.toISOString() ?? null,
        })),
      }),
      history: ({ params }) => paymentHistory(database, params.order_id),
      receiveCallback: async ({ params }) => {
        const rawBody = Buffer.from(params.raw_body, "base64");
        const request = { headers: params.headers, rawBody };
        await countCallback(metrics, payments.receiver.receive(params.payment_id, request));
        return null;
      },
    }),
    started() {
      payments.start();
      return Promise.resolve();
    },
    stopped: () => payments.stop(),
  };
}

async function countCallback(
  metrics: Pick<Metrics, "increment">,
  received: Promise<void>,
): Promise<void> {
  let result = "accepted";
  try {
    await received;
  } catch (error) {
    result = errorSlug(error) ?? "INTERNAL";
    throw error;
  } finally {
    metrics.increment("app_payment_callback_total", { result });
  }
}
