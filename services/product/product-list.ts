// The product list: filters, search by name, order, and the exact total.
import { type Database, type Statement, sql } from "../../mixins/database/database.ts";
import type { Product, ProductStatus } from "../contracts/product.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import { withSkus } from "./product.repository.ts";
import type { ProductRow } from "./product.rows.ts";

export interface ProductListQuery {
  readonly page?: number;
  readonly page_size?: number;
  readonly category_id?: string;
  readonly status?: ProductStatus;
  readonly q?: string;
  /** `field,asc|desc`; the newest first when absent. */
  readonly sort?: string;
}

const SORT_DEFAULT = "created_at,desc";
/** Only these ever become text of a statement. */
const ORDERS: Readonly<Record<string, string>> = {
  "created_at,asc": "created_at ASC, id ASC",
  "created_at,desc": "created_at DESC, id DESC",
  "price,asc": "price ASC, id ASC",
  "price,desc": "price DESC, id DESC",
  "name,asc": "name ASC, id ASC",
  "name,desc": "name DESC, id DESC",
};

interface Filter {
  /** Tells filters of different form apart in metrics. */
  readonly name: string;
  readonly where: string;
  readonly values: readonly unknown[];
}

export async function listProducts(
  database: Database,
  query: ProductListQuery,
): Promise<PageOf<Product>> {
  const { page, pageSize, offset } = pageOf(query);
  const filter = filterOf(query);
  const order = ORDERS[query.sort ?? SORT_DEFAULT] ?? ORDERS[SORT_DEFAULT];
  const count = sql(
    `product.count${filter.name}`,
    `SELECT COUNT(*) AS total FROM products${filter.where}`,
  );
  const counted = await database.row<{ total: string }>(count, filter.values);
  const total = Number(counted?.total ?? 0);
  if (offset >= total) return { items: [], page, page_size: pageSize, total };
  const rows = await database.rows<ProductRow>(selectOf(filter, order ?? ""), [
    ...filter.values,
    pageSize,
    offset,
  ]);
  return { items: await withSkus(database, rows), page, page_size: pageSize, total };
}

/** The page is found in an index alone; only its own rows are then read in full. */
function selectOf(filter: Filter, order: string): Statement {
  const outer = order.replaceAll(/\b(created_at|price|name|id)\b/g, "products.$1");
  return sql(
    `product.list${filter.name}`,
    `SELECT products.* FROM products
     JOIN (SELECT id FROM products${filter.where} ORDER BY ${order} LIMIT ? OFFSET ?) AS page
       ON page.id = products.id
     ORDER BY ${outer}`,
  );
}

function filterOf({ category_id: categoryId, status, q }: ProductListQuery): Filter {
  const parts: { name: string; text: string; value: unknown }[] = [];
  if (categoryId !== undefined) {
    parts.push({ name: "category", text: "category_id = ?", value: categoryId });
  }
  if (status !== undefined) parts.push({ name: "status", text: "status = ?", value: status });
  if (q !== undefined) {
    parts.push({ name: "name", text: "name LIKE ?", value: `%${escapeLike(q)}%` });
  }
  if (parts.length === 0) return { name: "", where: "", values: [] };
  return {
    name: `_by_${parts.map((part) => part.name).join("_")}`,
    where: ` WHERE ${parts.map((part) => part.text).join(" AND ")}`,
    values: parts.map((part) => part.value),
  };
}

/** `%`, `_` and `\` of the search text stand for themselves. */
export function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`);
}
