// What must be true of flash sales, alone and together with stock and orders. See invariant.ts.
import type { Invariant } from "./invariant.ts";

const KEY = (column: string): string => `CONVERT(${column} USING ascii) COLLATE ascii_bin`;

export const SALE_INVARIANTS: readonly Invariant[] = [
  {
    name: "seckill.admissions_counted",
    checks: "A sale's counters are its admissions: live ones, and all that ever were.",
    query: `
      SELECT CONCAT('sale ', s.id) AS offender
      FROM {seckill}.sales s
      LEFT JOIN (
        SELECT sale_id, SUM(state = 'live') AS live, SUM(state <> 'void') AS granted,
               MAX(seq) AS last_seq
        FROM {seckill}.admissions GROUP BY sale_id
      ) a ON a.sale_id = s.id
      WHERE s.admitted <> COALESCE(a.live, 0) OR s.granted <> COALESCE(a.granted, 0)
         OR s.granted <> COALESCE(a.last_seq, 0)`,
  },
  {
    name: "seckill.units_conserved",
    checks:
      "A sale never lets in more than it has, and when it has ended: quantity = live + returned.",
    query: `
      SELECT CONCAT('sale ', id) AS offender
      FROM {seckill}.sales
      WHERE admitted + returned > quantity
         OR (status IN ('closing', 'closed') AND admitted + returned <> quantity)
         OR (status IN ('draft', 'publishing') AND granted <> 0)
         OR (status NOT IN ('closing', 'closed') AND returned <> 0)`,
  },
  {
    name: "seckill.admissions_become_orders",
    checks:
      "Every admission has exactly its order: same sale, buyer, price and one unit of the SKU.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('admission ', a.order_id) AS offender
      FROM {seckill}.admissions a
      JOIN {seckill}.sales s ON s.id = a.sale_id
      LEFT JOIN {order}.orders o ON o.id = a.order_id
      LEFT JOIN {order}.order_items i ON i.order_id = a.order_id
      WHERE a.state <> 'void'
        AND ((o.id IS NULL AND a.created_at < NOW(3) - INTERVAL ? SECOND)
          OR (o.id IS NOT NULL AND NOT (o.sale_id <=> a.sale_id AND o.user_id = a.user_id
            AND i.sku_id = s.sku_id AND i.price = s.price AND i.quantity = 1)))`,
  },
  {
    name: "seckill.orders_were_admitted",
    checks: "No order of a sale exists without its admission.",
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      LEFT JOIN {seckill}.admissions a
        ON a.order_id = o.id AND a.sale_id = o.sale_id AND a.state <> 'void'
      WHERE o.sale_id IS NOT NULL AND a.order_id IS NULL`,
  },
  {
    name: "seckill.cancelled_orders_give_back",
    checks: "A unit is given back when its order is cancelled, and only then.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('admission ', a.order_id) AS offender
      FROM {seckill}.admissions a
      JOIN {order}.orders o ON o.id = a.order_id
      WHERE (a.state = 'given_back' AND o.status <> 'cancelled')
         OR (a.state = 'live' AND o.status = 'cancelled'
           AND o.updated_at < NOW(3) - INTERVAL ? SECOND)`,
  },
  {
    name: "seckill.allotments_match_sales",
    checks: "A sale that was published has its units from the stock, once; no other sale has any.",
    query: `
      SELECT CONCAT('sale ', s.id) AS offender
      FROM {seckill}.sales s
      LEFT JOIN {inventory}.allotments a ON a.sale_id = s.id AND a.status <> 'refused'
      LEFT JOIN {inventory}.stock_movements m ON m.cause_type = 'sale' AND m.kind = 'allot'
        AND m.sku_id = s.sku_id AND m.cause_id = ${KEY("s.id")}
      WHERE (s.status IN ('published', 'closing', 'closed')
          AND NOT (a.quantity <=> s.quantity AND m.allotted_delta <=> s.quantity))
         OR (s.status = 'draft' AND (a.sale_id IS NOT NULL OR m.id IS NOT NULL))`,
  },
  {
    name: "seckill.closed_sales_return",
    checks: "What a closed sale did not sell was booked back, and each unit given back later.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('sale ', s.id) AS offender
      FROM {seckill}.sales s
      LEFT JOIN {inventory}.allotments a ON a.sale_id = s.id AND a.status <> 'refused'
      LEFT JOIN (
        SELECT g.sale_id, COUNT(*) AS units
        FROM {seckill}.admissions g
        JOIN {inventory}.stock_movements m ON m.cause_type = 'order' AND m.kind = 'return'
          AND m.cause_id = ${KEY("g.order_id")}
        WHERE g.state = 'given_back' GROUP BY g.sale_id
      ) r ON r.sale_id = s.id
      WHERE s.status = 'closed' AND s.updated_at < NOW(3) - INTERVAL ? SECOND
        AND NOT (a.status <=> 'closed' AND s.returned = a.returned + COALESCE(r.units, 0))`,
  },
  {
    name: "seckill.paid_orders_committed",
    checks: "The unit of a paid order of a sale has left the allotment.",
    params: ["graceS"],
    query: `
      SELECT CONCAT('order ', o.id) AS offender
      FROM {order}.orders o
      LEFT JOIN {inventory}.stock_movements m ON m.cause_type = 'order' AND m.kind = 'commit'
        AND m.cause_id = ${KEY("o.id")}
      WHERE o.sale_id IS NOT NULL AND o.status IN ('paid', 'shipped', 'completed', 'refunded')
        AND o.updated_at < NOW(3) - INTERVAL ? SECOND
        AND NOT (m.allotted_delta <=> -1)`,
  },
  {
    name: "seckill.nothing_stuck",
    checks: "No sale stays in the middle of being published, ended or closed.",
    params: ["graceS", "graceS", "graceS"],
    query: `
      SELECT CONCAT('sale ', id) AS offender
      FROM {seckill}.sales
      WHERE (status IN ('publishing', 'closing') AND updated_at < NOW(3) - INTERVAL ? SECOND)
         OR (status = 'published' AND ends_at < NOW(3) - INTERVAL 10 SECOND - INTERVAL ? SECOND)
         OR (mode = 'loading' AND mode_since < NOW(3) - INTERVAL 60 SECOND - INTERVAL ? SECOND)`,
  },
];
