// The product list: filters, search by name, order, and the exact total.
import { type Database, type Statement, sql } from "../../mixins/database/database.ts";
import type { Product, ProductStatus } from "../contracts/product.ts";
import { must } from "../kernel/assert.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import type { ProductRepository } from "./product.repository.ts";

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
  products: Pick<ProductRepository, "find">,
  query: ProductListQuery,
): Promise<PageOf<Product>> {
  const { page, pageSize, offset } = pageOf(query);
  const filter = filterOf(query);
  const order = must(ORDERS[query.sort ?? SORT_DEFAULT], "an order the contract allows");
  const count = sql(
    `product.count${filter.name}`,
    `SELECT COUNT(*) AS total FROM products${filter.where}`,
  );
  const counted = await database.row<{ total: string }>(count, filter.values);
  const total = Number(counted?.total ?? 0);
  if (offset >= total) return { items: [], page, page_size: pageSize, total };
  const ids = await database.rows<{ id: string }>(selectIds(filter, order), [
    ...filter.values,
    pageSize,
    offset,
  ]);
  const found = await products.find(ids.map((row) => row.id));
  const byId = new Map(found.map((product) => [product.id, product]));
  const items = ids.flatMap(({ id }) => byId.get(id) ?? []);
  return { items, page, page_size: pageSize, total };
}

/** The page is found in an index alone, and its rows are read by id afterwards: joined in one
 * statement they are sorted once more, in a temporary table with the descriptions in it. */
function selectIds(filter: Filter, order: string): Statement {
  return sql(
    `product.list${filter.name}`,
    `SELECT id FROM products${filter.where} ORDER BY ${order} LIMIT ? OFFSET ?`,
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
