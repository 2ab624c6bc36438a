// What the sale asks about its orders: statuses, one order's history, and the sums of its audit.
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

const SUMS = sql(
  "order.sale.sums",
  `SELECT status, COUNT(*) AS orders, SUM(total_price) AS total_price,
          SUM(IF(payment_id IS NULL, 0, total_price)) AS paid, SUM(refunded_amount) AS refunded
   FROM orders WHERE sale_id = ? AND status IN (?) GROUP BY status`,
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
  readonly paid: string;
  readonly refunded: string;
}

export async function sumsOfSale(
  database: Database,
  saleId: string,
): Promise<ActionResult<"order.ofSale">> {
  const rows = await database.rows<SumRow>(SUMS, [saleId, ORDER_STATUSES]);
  const sum = (field: "total_price" | "paid" | "refunded"): number =>
    rows.reduce((total, row) => total + Number(row[field]), 0);
  return {
    statuses: rows.map(({ status, orders }) => ({ status, orders: Number(orders) })),
    total_price: sum("total_price"),
    paid: sum("paid"),
    refunded: sum("refunded"),
  };
}
