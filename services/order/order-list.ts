// Pages of orders. Every filter and sort has its index (migrations/order); orders that are being
// placed or failed are never counted nor shown.
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import type { ActionParams } from "../contracts/actions.ts";
import { ORDER_STATUSES } from "../contracts/order.ts";
import { pageOf, type PageOf } from "../kernel/schema.ts";
import type { Order } from "./domain/order.ts";
import { findOrders } from "./order.repository.ts";

const SORTS = ["created_at", "total_price"] as const;
type Sort = (typeof SORTS)[number];
type Direction = "ASC" | "DESC";

interface Scope {
  readonly where: string;
  readonly params: readonly unknown[];
}

/** @param userId null: everybody's. */
export async function listOrders(
  database: Database,
  userId: string | null,
  params: ActionParams<"order.list">,
): Promise<PageOf<Order>> {
  const { page, pageSize, offset } = pageOf(params);
  const scope = scopeOf(userId, params.status);
  const [ids, count] = await Promise.all([
    database.rows<{ id: string }>(pageStatement(scope, params.sort), [
      ...scope.params,
      pageSize,
      offset,
    ]),
    database.row<{ total: string }>(
      sql("order.list.count", `SELECT COUNT(*) AS total FROM orders WHERE ${scope.where}`),
      scope.params,
    ),
  ]);
  const items = await findOrders(
    database,
    ids.map(({ id }) => id),
  );
  return { items: [...items], page, page_size: pageSize, total: Number(count?.total ?? 0) };
}

function scopeOf(userId: string | null, status: string | undefined): Scope {
  const [where, params] =
    status === undefined ? ["status IN (?)", [ORDER_STATUSES]] : ["status = ?", [status]];
  if (userId === null) return { where, params };
  return { where: `user_id = ? AND ${where}`, params: [userId, ...params] };
}

function pageStatement({ where }: Scope, sort: string | undefined): Statement {
  const { field, direction } = parseSort(sort);
  return sql(
    "order.list.page",
    `SELECT id FROM orders WHERE ${where}
     ORDER BY ${field} ${direction}, id ${direction} LIMIT ? OFFSET ?`,
  );
}

/** Only words of this module reach the statement. */
export function parseSort(sort: string | undefined): { field: Sort; direction: Direction } {
  const [wanted, order] = (sort ?? "created_at,desc").split(",");
  const field = SORTS.find((name) => name === wanted) ?? "created_at";
  return { field, direction: order === "asc" ? "ASC" : "DESC" };
}
