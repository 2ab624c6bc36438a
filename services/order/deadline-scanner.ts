// Finds orders whose time to pay is over. The deadline is a column and the clock is the database's:
// whatever dies, the next scan of any node finds the order. Sleeps until the next deadline.
import { type BackgroundLoop, createBackgroundLoop } from "../../mixins/background-loop.ts";
import type { ServiceBroker } from "moleculer";
import { sql } from "../../mixins/database/database.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import { CLOSE_BATCH_MAX, closeDueOrders, type CloseOrderDeps } from "./close-order.saga.ts";

/** Orders that expire within the sleep were placed after the last look, or by another clock. */
export const SCAN_INTERVAL_MAX_MS = SECOND_MS;
const SCAN_INTERVAL_MIN_MS = 10;
const US_PER_MS = 1_000;

const NEXT_DUE = sql(
  "order.next-due",
  `SELECT TIMESTAMPDIFF(MICROSECOND, NOW(3), MIN(expires_at)) AS dueInUs
   FROM orders WHERE status = 'pending_payment'`,
);

export function createDeadlineScanner(deps: CloseOrderDeps, broker: ServiceBroker): BackgroundLoop {
  return createBackgroundLoop({
    name: "order.deadline-scanner",
    log: deps.log,
    random: deps.random,
    turn: async () => {
      if ((await closeDueOrders(deps, broker)) === CLOSE_BATCH_MAX) return 0;
      const next = await deps.database.row<{ dueInUs: string | null }>(NEXT_DUE);
      return sleepMs(next?.dueInUs ?? null);
    },
  });
}

/** @param dueInUs microseconds until the next deadline, null when there is none. */
export function sleepMs(dueInUs: string | number | null): number {
  if (dueInUs === null) return SCAN_INTERVAL_MAX_MS;
  const dueInMs = Math.ceil(Number(dueInUs) / US_PER_MS) + 1;
  return Math.min(SCAN_INTERVAL_MAX_MS, Math.max(SCAN_INTERVAL_MIN_MS, dueInMs));
}
