// Counts what became of orders, from their events: exactly what was committed, by whichever node.
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import type { OutboxRow } from "../../mixins/outbox/outbox.repository.ts";
import type { EventPayload } from "../contracts/events.ts";

type OnPublished = (rows: readonly Pick<OutboxRow, "name" | "payload">[]) => void;

export function countOrders(metrics: Pick<Metrics, "increment">): OnPublished {
  return (rows) => {
    for (const { name, payload } of rows) {
      if (name === "order.created.v1") metrics.increment("app_order_placed_total");
      else if (name === "order.paid.v1") metrics.increment("app_order_paid_total");
      else if (name === "order.cancelled.v1") {
        const { reason } = JSON.parse(payload) as EventPayload<"order.cancelled.v1">;
        metrics.increment("app_order_cancelled_total", { reason });
      }
    }
  };
}
