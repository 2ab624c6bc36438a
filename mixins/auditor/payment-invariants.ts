// What must be true of money: captures, refunds, the ledger, and the orders they pay for.
import type { Invariant } from "./invariant.ts";

export const PAYMENT_INVARIANTS: readonly Invariant[] = [
  {
    name: "payment.ledger_balanced",
    checks: "The ledger entries of every cause add up to zero.",
    query: `
      SELECT CONCAT(cause_type, ' ', cause_id) AS offender
      FROM {payment}.ledger_entries
      GROUP BY cause_type, cause_id HAVING SUM(amount) <> 0`,
  },
  {
    name: "payment.captures_in_ledger",
    checks: "A payment is captured exactly when the ledger has its amount.",
    query: `
      SELECT CONCAT('payment ', p.id) AS offender
      FROM {payment}.payments p
      LEFT JOIN {payment}.ledger_entries e
        ON e.cause_type = 'capture' AND e.cause_id = p.id AND e.account = 'provider_receivable'
      WHERE (p.captured_at IS NULL) <> (e.id IS NULL) OR e.amount <> p.amount`,
  },
  {
    name: "payment.refunds_in_ledger",
    checks: "A refund has succeeded exactly when the ledger has its amount.",
    query: `
      SELECT CONCAT('refund ', f.id) AS offender
      FROM {payment}.refunds f
      LEFT JOIN {payment}.ledger_entries e
        ON e.cause_type = 'refund' AND e.cause_id = f.id AND e.account = 'provider_receivable'
      WHERE (f.status = 'succeeded') <> (e.id IS NOT NULL) OR e.amount <> -f.amount`,
  },
  {
    name: "payment.refunds_add_up",
    checks:
      "What a payment promised and gave back is the sum of its refunds, never more than it got.",
    query: `
      SELECT CONCAT('payment ', p.id) AS offender
      FROM {payment}.payments p
      LEFT JOIN (
        SELECT payment_id, SUM(amount) AS promised,
               SUM(CASE WHEN status = 'succeeded' THEN amount ELSE 0 END) AS given
        FROM {payment}.refunds GROUP BY payment_id
      ) f ON f.payment_id = p.id
      WHERE p.refund_reserved <> COALESCE(f.promised, 0)
         OR p.refunded_amount <> COALESCE(f.given, 0)
         OR COALESCE(f.promised, 0) > p.amount`,
  },
  {
    name: "payment.captures_signed",
    checks: "No money moves without a verified callback or the provider's own answer.",
    query: `
      SELECT CONCAT('payment ', p.id) AS offender
      FROM {payment}.payments p
      LEFT JOIN {payment}.callbacks c
        ON c.payment_id = p.id AND c.outcome = 'succeeded' AND c.amount = p.amount
       AND c.effect IN ('captured', 'late', 'duplicate')
      WHERE p.captured_at IS NOT NULL AND c.id IS NULL`,
  },
  {
    name: "payment.callbacks_applied",
    checks: "Every stored callback is applied.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('callback ', id) AS offender
      FROM {payment}.callbacks
      WHERE applied_at IS NULL AND received_at < NOW(3) - INTERVAL ? SECOND`,
  },
  {
    name: "payment.refunds_carried_out",
    checks: "Every promised refund is carried out.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('refund ', id) AS offender
      FROM {payment}.refunds
      WHERE status = 'pending' AND created_at < NOW(3) - INTERVAL ? SECOND`,
  },
  {
    name: "payment.one_capture_counts",
    checks: "At most one payment of an order counts for it.",
    query: `
      SELECT CONCAT('order ', order_id) AS offender
      FROM {payment}.payments WHERE status = 'succeeded'
      GROUP BY order_id HAVING COUNT(*) > 1`,
  },
  {
    name: "payment.paid_in_full",
    checks: "A paid order has one captured payment of its total, in its currency.",
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      LEFT JOIN {payment}.payments p ON p.id = o.payment_id AND p.order_id = o.id
      WHERE o.payment_id IS NOT NULL
        AND (p.id IS NULL OR p.captured_at IS NULL OR p.amount <> o.total_price
          OR p.currency <> o.currency OR p.status NOT IN ('succeeded', 'refunded'))`,
  },
  {
    name: "payment.captured_orders_paid",
    checks: "The order of a payment that counts for it knows that it is paid.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('payment ', p.id) AS offender
      FROM {payment}.payments p
      LEFT JOIN {order}.orders o ON o.id = p.order_id
      WHERE p.status = 'succeeded' AND p.updated_at < NOW(3) - INTERVAL ? SECOND
        AND (o.id IS NULL OR NOT (o.payment_id <=> p.id))`,
  },
  {
    name: "payment.no_money_for_ended_orders",
    checks: "What was captured for an order that ended is promised back in full.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('payment ', p.id) AS offender
      FROM {payment}.payments p
      JOIN {order}.orders o ON o.id = p.order_id
      WHERE p.captured_at IS NOT NULL AND p.refund_reserved < p.amount
        AND o.status IN ('cancelled', 'failed')
        AND p.updated_at < NOW(3) - INTERVAL ? SECOND`,
  },
  {
    name: "payment.orders_show_refunds",
    checks: "A paid order shows what its payment gave back.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      JOIN {payment}.payments p ON p.id = o.payment_id
      WHERE o.refunded_amount <> p.refunded_amount
        AND p.updated_at < NOW(3) - INTERVAL ? SECOND`,
  },
];
