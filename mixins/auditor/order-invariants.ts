// What must be true of orders, their history and their sagas. The transitions are written here a
// second time on purpose: a witness that reads the accused's own table proves nothing.
import type { Invariant } from "./invariant.ts";

const TRANSITIONS = [
  "new>placing",
  "new>pending_payment",
  "new>cancelled",
  "placing>pending_payment",
  "placing>failed",
  "pending_payment>closing",
  "pending_payment>paid",
  "closing>paid",
  "closing>cancelled",
  "paid>shipped",
  "paid>refunded",
  "shipped>completed",
];
const TRANSITION_LIST = TRANSITIONS.map((transition) => `'${transition}'`).join(", ");

export const ORDER_INVARIANTS: readonly Invariant[] = [
  {
    name: "order.totals_honest",
    checks: "An order's total is its lines less its discount.",
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      LEFT JOIN (
        SELECT order_id, SUM(price * quantity) AS lines_price
        FROM {order}.order_items GROUP BY order_id
      ) i ON i.order_id = o.id
      WHERE o.total_price <> COALESCE(i.lines_price, 0) - o.discount`,
  },
  {
    name: "order.history_complete",
    checks: "An order's history counts 1 to its version and ends in its status.",
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      LEFT JOIN (
        SELECT order_id, COUNT(*) AS steps, MIN(version) AS first_step, MAX(version) AS last_step
        FROM {order}.order_events GROUP BY order_id
      ) h ON h.order_id = o.id
      LEFT JOIN {order}.order_events e ON e.order_id = o.id AND e.version = o.version
      WHERE h.order_id IS NULL OR h.steps <> o.version OR h.first_step <> 1
         OR h.last_step <> o.version OR e.to_status <> o.status`,
  },
  {
    name: "order.history_legal",
    checks: "Every change of status is one that the rules know, from where the last one ended.",
    query: `
      SELECT CONCAT('order ', e.order_id, ' version ', e.version) AS offender
      FROM {order}.order_events e
      LEFT JOIN {order}.order_events p ON p.order_id = e.order_id AND p.version + 1 = e.version
      WHERE NOT (p.to_status <=> e.from_status)
         OR CONCAT(COALESCE(e.from_status, 'new'), '>', e.to_status) NOT IN (${TRANSITION_LIST})`,
  },
  {
    name: "order.deadlines_kept",
    checks: "No unpaid order lives on after its deadline.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('order ', id) AS offender
      FROM {order}.orders
      WHERE status = 'pending_payment' AND expires_at < NOW(3) - INTERVAL ? SECOND`,
  },
  {
    name: "order.nothing_stuck",
    checks: "No order stays in the middle of being placed or closed.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('order ', id) AS offender
      FROM {order}.orders
      WHERE status IN ('placing', 'closing') AND updated_at < NOW(3) - INTERVAL ? SECOND`,
  },
  {
    name: "order.sagas_on_time",
    checks: "Every open saga is carried on when it is due.",
    params: ["graceS"],
    query: `
      SELECT CONCAT(type, ' ', id) AS offender
      FROM {order}.sagas WHERE next_at < NOW(3) - INTERVAL ? SECOND`,
  },
];
