// What other services' events do to stock: new SKUs are opened, paid orders committed, cancelled
// ones released, refunded ones restocked, units of ended sales taken back. Each batch of events is one transaction.
import type { ServiceSchema } from "moleculer";
import { type ConsumedEvent, consumer, type EventConsumer } from "../../mixins/channels/channel.ts";
import { channelsMixin } from "../../mixins/channels/channels.mixin.ts";
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import { purgeIdempotencyKeys } from "../../mixins/idempotency/idempotency.repository.ts";
import { MINUTE_MS } from "../kernel/clock.ts";
import type { PlatformNode } from "../node.ts";
import { returnUnits, returnUnsold } from "./allotments.ts";
import { createAvailabilityCopies } from "./availability.redis.ts";
import { AvailabilityStore } from "./availability.store.ts";
import type { SettlementAction } from "./domain/reservation.ts";
import { openStock } from "./inventory.repository.ts";
import { settleOrders, type Settlement } from "./settle.ts";
import { STOCK_HINT_EVENT, type StockHint } from "./sold-out-marks.ts";

/** Idempotency keys are kept for a day; a bounded batch of expired ones goes at a time. */
const RETENTION_INTERVAL_MS = MINUTE_MS;

type OrderEventName = "order.paid.v1" | "order.cancelled.v1" | "order.refunded.v1";
type OrderEvent = ConsumedEvent<OrderEventName>;

/** Told of SKUs whose units may have come back, after the commit. */
export type OnReturned = (skuIds: readonly string[]) => Promise<void>;

export function wire(node: PlatformNode): ServiceSchema {
  const { broker, clock, log, nodeId, random, failpoint, settings } = node;
  const database = node.database("inventory");
  const availability = new AvailabilityStore({
    database,
    copies: createAvailabilityCopies(node.redis(), settings.NAMESPACE),
    clock,
    log,
  });
  const onReturned: OnReturned = async (skuIds) => {
    const hint: StockHint = { sold_out: [], returned: skuIds };
    void broker.broadcast(STOCK_HINT_EVENT, hint);
    await availability.refresh(skuIds);
  };
  const channels = channelsMixin({
    owner: "inventory",
    database,
    bus: node.bus(),
    consumers: inventoryConsumers(onReturned),
    nodeId,
    log,
    random,
    failpoint,
    metrics: node.metrics,
    tracer: node.broker.tracer,
  });
  const retention = repeatEvery(RETENTION_INTERVAL_MS, log, async () => {
    await purgeIdempotencyKeys(database);
  });
  return {
    name: "inventory-worker",
    mixins: [channels],
    started: () => retention.start(),
    async stopped() {
      await retention.stop();
      await availability.stop();
    },
  };
}

export function inventoryConsumers(onReturned: OnReturned): readonly EventConsumer[] {
  return [
    consumer({
      event: "product.created.v1",
      apply: async (tx, events) => {
        const skus = events.flatMap(({ payload }) => payload.skus);
        await openStock(
          tx,
          skus.map(({ sku_id, stock }) => ({ skuId: sku_id, quantity: stock })),
        );
      },
      committed: (events) =>
        onReturned(events.flatMap(({ payload }) => payload.skus.map(({ sku_id }) => sku_id))),
    }),
    // A paid order's units leave `reserved`: nothing comes back, so nobody has to be told.
    consumer({
      event: "order.paid.v1",
      apply: async (tx, events) => {
        await settleOrders(
          tx,
          events.map((event) => settlementOf(event, "commit")),
        );
      },
    }),
    consumer({
      event: "order.cancelled.v1",
      apply: async (tx, events) => {
        await settleOrders(
          tx,
          events.filter(isOrdinary).map((event) => settlementOf(event, "release")),
        );
      },
      committed: (events) => onReturned(skusOf(events.filter(isOrdinary))),
    }),
    consumer({
      event: "order.refunded.v1",
      apply: async (tx, events) => {
        await settleOrders(
          tx,
          events.map((event) => settlementOf(event, "restock")),
        );
      },
      committed: (events) => onReturned(skusOf(events)),
    }),
    consumer({
      event: "seckill.closed.v1",
      apply: async (tx, events) => {
        await returnUnsold(
          tx,
          events.map(({ payload: { sale_id: saleId, sku_id: skuId, returned } }) => ({
            saleId,
            skuId,
            returned,
          })),
        );
      },
      committed: (events) => onReturned(events.map(({ payload }) => payload.sku_id)),
    }),
    consumer({
      event: "seckill.unit_returned.v1",
      apply: async (tx, events) => {
        await returnUnits(
          tx,
          events.map(({ payload }) => ({ orderId: payload.order_id, skuId: payload.sku_id })),
        );
      },
      committed: (events) => onReturned(events.map(({ payload }) => payload.sku_id)),
    }),
  ];
}

/** A cancelled flash order gives its unit back to its sale, which is the sale's own booking. */
function isOrdinary({ payload }: OrderEvent): boolean {
  return payload.sale_id === null;
}

function settlementOf(event: OrderEvent, action: SettlementAction): Settlement {
  return {
    orderId: event.payload.order_id,
    action,
    isFlash: !isOrdinary(event),
    lines: event.payload.lines.map(({ sku_id, quantity }) => ({ skuId: sku_id, quantity })),
  };
}

function skusOf(events: readonly OrderEvent[]): string[] {
  return [...new Set(events.flatMap(({ payload }) => payload.lines.map(({ sku_id }) => sku_id)))];
}
