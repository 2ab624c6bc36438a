// Background part of the payment service: relay of its outbox, callbacks nobody applied, refunds that
// are due, idempotency keys that have run out. It consumes no events.
import type { ServiceSchema } from "moleculer";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { MINUTE_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { createPaymentNode } from "./payment-node.ts";
import { paymentDeps } from "./payment.service.ts";

const KEY_PURGE_INTERVAL_MS = MINUTE_MS;

export function wire(node: PlatformNode): ServiceSchema {
  const { nodeId, log, random, failpoint } = node;
  const payments = createPaymentNode(paymentDeps(node));
  const database = node.database("payment");
  const purge = repeatEvery(KEY_PURGE_INTERVAL_MS, log, async () => {
    await purgeIdempotencyKeys(database);
  });
  const channels = channelsMixin({
    owner: "payment",
    database,
    bus: node.bus(),
    consumers: [],
    nodeId,
    log,
    random,
    failpoint,
    metrics: node.metrics,
    tracer: node.broker.tracer,
  });
  return {
    name: "payment-worker",
    mixins: [channels],
    started() {
      payments.start();
      purge.start();
      return Promise.resolve();
    },
    async stopped() {
      await Promise.all([payments.stop(), purge.stop()]);
    },
  };
}
