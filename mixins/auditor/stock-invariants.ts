// What must be true of stock, alone and together with the orders. See invariant.ts for the form.
import type { Invariant } from "./invariant.ts";

export const STOCK_INVARIANTS: readonly Invariant[] = [
  {
    name: "inventory.buckets_match_ledger",
    checks: "The three buckets of a SKU are the sums of its movements.",
    query: `
      SELECT CONCAT('sku ', s.sku_id) AS offender
      FROM {inventory}.stock s
      LEFT JOIN (
        SELECT sku_id, SUM(available_delta) AS available, SUM(reserved_delta) AS reserved,
               SUM(allotted_delta) AS allotted
        FROM {inventory}.stock_movements GROUP BY sku_id
      ) m ON m.sku_id = s.sku_id
      WHERE s.available <> COALESCE(m.available, 0) OR s.reserved <> COALESCE(m.reserved, 0)
         OR s.allotted <> COALESCE(m.allotted, 0)`,
  },
  {
    name: "inventory.on_hand_conserved",
    checks: "on_hand = receipts + adjustments - commits + restocks.",
    query: `
      SELECT CONCAT('sku ', s.sku_id) AS offender
      FROM {inventory}.stock s
      LEFT JOIN (
        SELECT sku_id, SUM(CASE
            WHEN kind IN ('receipt', 'adjustment', 'restock') THEN available_delta
            WHEN kind = 'commit' THEN reserved_delta + allotted_delta
            ELSE 0 END) AS on_hand
        FROM {inventory}.stock_movements GROUP BY sku_id
      ) m ON m.sku_id = s.sku_id
      WHERE s.available + s.reserved + s.allotted <> COALESCE(m.on_hand, 0)`,
  },
  {
    name: "inventory.bookings_well_formed",
    checks: "A movement changes the buckets that its kind changes, and no others.",
    query: `
      SELECT CONCAT('movement ', id) AS offender
      FROM {inventory}.stock_movements
      WHERE NOT CASE kind
        WHEN 'receipt' THEN available_delta > 0 AND reserved_delta = 0 AND allotted_delta = 0
        WHEN 'adjustment' THEN available_delta <> 0 AND reserved_delta = 0 AND allotted_delta = 0
        WHEN 'restock' THEN available_delta > 0 AND reserved_delta = 0 AND allotted_delta = 0
        WHEN 'reserve' THEN reserved_delta > 0 AND available_delta = -reserved_delta
          AND allotted_delta = 0
        WHEN 'release' THEN available_delta > 0 AND reserved_delta = -available_delta
          AND allotted_delta = 0
        WHEN 'commit' THEN available_delta = 0 AND LEAST(reserved_delta, allotted_delta) < 0
          AND GREATEST(reserved_delta, allotted_delta) = 0
        WHEN 'allot' THEN allotted_delta > 0 AND available_delta = -allotted_delta
          AND reserved_delta = 0
        WHEN 'return' THEN available_delta > 0 AND allotted_delta = -available_delta
          AND reserved_delta = 0
        ELSE FALSE END`,
  },
  {
    name: "inventory.reserved_matches_holds",
    checks: "The reserved units of a SKU are the lines of the reservations that are held.",
    query: `
      SELECT CONCAT('sku ', s.sku_id) AS offender
      FROM {inventory}.stock s
      LEFT JOIN (
        SELECT l.sku_id, SUM(l.quantity) AS held
        FROM {inventory}.reservations r
        JOIN {inventory}.reservation_lines l ON l.order_id = r.order_id
        WHERE r.status = 'held' GROUP BY l.sku_id
      ) h ON h.sku_id = s.sku_id
      WHERE s.reserved <> COALESCE(h.held, 0)`,
  },
  {
    name: "inventory.reservations_booked",
    checks: "Every line of a reservation has the movement that brought it to its status.",
    query: `
      SELECT CONCAT('order ', l.order_id, ' sku ', l.sku_id) AS offender
      FROM {inventory}.reservations r
      JOIN {inventory}.reservation_lines l ON l.order_id = r.order_id
      LEFT JOIN {inventory}.stock_movements m
        ON m.cause_type = 'order' AND m.sku_id = l.sku_id
       AND m.cause_id = CONVERT(l.order_id USING ascii) COLLATE ascii_bin
       AND m.kind = CASE r.status
         WHEN 'held' THEN 'reserve' WHEN 'committed' THEN 'commit' ELSE 'release' END
      WHERE m.id IS NULL OR ABS(m.reserved_delta) <> l.quantity`,
  },
  {
    name: "inventory.released_or_committed",
    checks: "No order's units were both released and sold.",
    query: `
      SELECT CONCAT('order ', c.cause_id, ' sku ', c.sku_id) AS offender
      FROM {inventory}.stock_movements c
      JOIN {inventory}.stock_movements r
        ON r.cause_type = c.cause_type AND r.cause_id = c.cause_id AND r.sku_id = c.sku_id
       AND r.kind IN ('release', 'return')
      WHERE c.kind = 'commit'`,
  },
  {
    name: "inventory.no_oversell",
    checks: "Orders that are or will be served ask for no more units than ever came in.",
    query: `
      SELECT CONCAT('sku ', d.sku_id) AS offender
      FROM (
        SELECT i.sku_id, SUM(i.quantity) AS sold
        FROM {order}.orders o JOIN {order}.order_items i ON i.order_id = o.id
        WHERE o.status IN ('pending_payment', 'closing', 'paid', 'shipped', 'completed')
        GROUP BY i.sku_id
      ) d
      LEFT JOIN (
        SELECT sku_id, SUM(available_delta) AS received
        FROM {inventory}.stock_movements
        WHERE kind IN ('receipt', 'adjustment') GROUP BY sku_id
      ) g ON g.sku_id = d.sku_id
      WHERE d.sold > COALESCE(g.received, 0)`,
  },
  {
    name: "inventory.open_orders_hold_their_lines",
    checks: "An order that can still be paid holds exactly its lines.",
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      JOIN {order}.order_items i ON i.order_id = o.id
      LEFT JOIN {inventory}.reservations r ON r.order_id = o.id AND r.status = 'held'
      LEFT JOIN {inventory}.reservation_lines l ON l.order_id = o.id AND l.sku_id = i.sku_id
      WHERE o.status IN ('pending_payment', 'closing') AND o.sale_id IS NULL
        AND (r.order_id IS NULL OR l.quantity IS NULL OR l.quantity <> i.quantity)`,
  },
  {
    name: "inventory.paid_orders_committed",
    checks: "The units of a paid order have left the stock.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      LEFT JOIN {inventory}.reservations r ON r.order_id = o.id AND r.status = 'committed'
      WHERE o.status IN ('paid', 'shipped', 'completed', 'refunded') AND o.sale_id IS NULL
        AND r.order_id IS NULL AND o.updated_at < NOW(3) - INTERVAL ? SECOND`,
  },
  {
    name: "inventory.ended_orders_hold_nothing",
    checks: "A cancelled, failed or unknown order holds no units and has sold none.",
    params: ["graceS", "graceS"],
    query: `
      SELECT CONCAT('order ', r.order_id) AS offender
      FROM {inventory}.reservations r
      LEFT JOIN {order}.orders o ON o.id = r.order_id
      WHERE r.status IN ('held', 'committed')
        AND ((o.id IS NULL AND r.created_at < NOW(3) - INTERVAL ? SECOND)
          OR (o.status IN ('cancelled', 'failed')
            AND (r.status = 'committed' OR o.updated_at < NOW(3) - INTERVAL ? SECOND)))`,
  },
  {
    name: "inventory.refunded_orders_restocked",
    checks: "The units of an order that was refunded before shipping are back.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('order ', o.id, ' sku ', i.sku_id) AS offender
      FROM {order}.orders o
      JOIN {order}.order_items i ON i.order_id = o.id
      LEFT JOIN {inventory}.stock_movements m
        ON m.cause_type = 'order' AND m.kind = 'restock' AND m.sku_id = i.sku_id
       AND m.cause_id = CONVERT(o.id USING ascii) COLLATE ascii_bin
      WHERE o.status = 'refunded' AND o.updated_at < NOW(3) - INTERVAL ? SECOND
        AND (m.id IS NULL OR m.available_delta <> i.quantity)`,
  },
  {
    name: "inventory.holds_end",
    checks: "No reservation is held longer than the payment window and ten minutes.",
    params: ["holdS"],
    query: `
      SELECT CONCAT('order ', order_id) AS offender
      FROM {inventory}.reservations
      WHERE status = 'held' AND created_at < NOW(3) - INTERVAL ? SECOND`,
  },
];
