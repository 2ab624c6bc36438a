// What the sale asks about its orders: statuses, one order's history, the sums and rows of its audit.
import { type Database, sql } from "../../mixins/database/database.ts";
import type { ActionResult } from "../contracts/actions.ts";
import { ORDER_STATUSES, type OrderStatus } from "../contracts/order.ts";

const HISTORY_MAX = 50;

const STATUSES = sql(
  "order.sale.statuses",
  "SELECT id, status, cancel_reason FROM orders WHERE id IN (?) AND status IN (?)",
);

const HISTORY = sql(
  "order.sale.history",
  "SELECT at, to_status, reason FROM order_events WHERE order_id = ? ORDER BY version LIMIT ?",
);

// Read from the index orders_sale_money alone.
const SUMS = sql(
  "order.sale.sums",
  `SELECT status, COUNT(*) AS orders, SUM(total_price) AS total_price,
          SUM(refunded_amount) AS refunded
   FROM orders WHERE sale_id = ? AND status IN (?) GROUP BY status`,
);

const OF_ADMISSIONS = sql(
  "order.sale.of-admissions",
  `SELECT o.id, o.user_id, o.sale_id, o.status, o.total_price, i.sku_id, i.quantity
   FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
   WHERE o.id IN (?) AND o.status IN (?)`,
);

export async function statusesOf(
  database: Database,
  ids: readonly string[],
): Promise<ActionResult<"order.statuses">> {
  const rows = await database.rows<{
    id: string;
    status: OrderStatus;
    cancel_reason: string | null;
  }>(STATUSES, [ids, ORDER_STATUSES]);
  return {
    items: rows.map(({ id, status, cancel_reason: reason }) => ({ order_id: id, status, reason })),
  };
}

export async function historyOf(
  database: Database,
  orderId: string,
): Promise<ActionResult<"order.history">> {
  const rows = await database.rows<{ at: Date; to_status: string; reason: string | null }>(
    HISTORY,
    [orderId, HISTORY_MAX],
  );
  return {
    items: rows.map(({ at, to_status: status, reason }) => ({
      at: at.toISOString(),
      status,
      reason,
    })),
  };
}

interface SumRow {
  readonly status: OrderStatus;
  readonly orders: string;
  readonly total_price: string;
  readonly refunded: string;
}

export async function sumsOfSale(
  database: Database,
  saleId: string,
): Promise<ActionResult<"order.ofSale">> {
  const rows = await database.rows<SumRow>(SUMS, [saleId, ORDER_STATUSES]);
  return {
    statuses: rows.map(({ status, orders, total_price: totalPrice, refunded }) => ({
      status,
      orders: Number(orders),
      total_price: Number(totalPrice),
      refunded: Number(refunded),
    })),
  };
}

interface AdmittedRow {
  readonly id: string;
  readonly user_id: string;
  readonly sale_id: string | null;
  readonly status: OrderStatus;
  readonly total_price: string;
  readonly sku_id: string | null;
  readonly quantity: number | null;
}

/** Those of these orders that are there, as their sale must find them. */
export async function ordersOfAdmissions(
  database: Database,
  ids: readonly string[],
): Promise<ActionResult<"order.ofAdmissions">> {
  const rows = await database.rows<AdmittedRow>(OF_ADMISSIONS, [ids, ORDER_STATUSES]);
  const lines = Map.groupBy(rows, ({ id }) => id);
  return {
    items: [...lines.values()].flatMap(([order, ...more]) =>
      order === undefined
        ? []
        : {
            order_id: order.id,
            user_id: order.user_id,
            sale_id: order.sale_id,
            status: order.status,
            total_price: Number(order.total_price),
            sku_id: order.sku_id,
            units: [order, ...more].reduce((sum, { quantity }) => sum + (quantity ?? 0), 0),
          },
    ),
  };
}
