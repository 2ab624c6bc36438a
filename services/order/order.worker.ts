// The order service's background work: payments' events, the orders of flash sales, the deadline scanner, sagas taken over,
// and the relay of the outbox. Any number of nodes may run it at once.
import type { ServiceSchema } from "moleculer";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { MINUTE_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { createDeadlineScanner } from "./deadline-scanner.ts";
import { countOrders } from "./order-metrics.ts";
import { flashOrderConsumer } from "./flash-orders.ts";
import { closeDeps, wirePlacing } from "./order.service.ts";
import { paymentConsumers } from "./payment-events.ts";
import { createSagaRecovery } from "./saga-recovery.ts";

const KEY_PURGE_INTERVAL_MS = MINUTE_MS;

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, log, nodeId, random, failpoint } = node;
  const deps = closeDeps(node);
  const { database, onEvents } = deps;
  const placing = wirePlacing(node);
  const paymentWindowMs = node.settings.ORDER_PAYMENT_WINDOW_MS;
  const loops = [
    createDeadlineScanner(deps, broker),
    createSagaRecovery({ ...deps, placing }, broker),
    repeatEvery(KEY_PURGE_INTERVAL_MS, log, async () => {
      await purgeIdempotencyKeys(database);
    }),
  ];
  return {
    name: "order-worker",
    mixins: [
      channelsMixin({
        owner: "order",
        database,
        bus: node.bus(),
        consumers: [
          ...paymentConsumers({ log, onEvents }),
          flashOrderConsumer({ database, paymentWindowMs, log, onEvents }),
        ],
        nodeId,
        log,
        random,
        failpoint,
        metrics: node.metrics,
        tracer: node.broker.tracer,
        onPublished: countOrders(node.metrics),
      }),
    ],
    started() {
      for (const loop of loops) loop.start();
    },
    async stopped() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await placing.drain();
    },
  };
}
