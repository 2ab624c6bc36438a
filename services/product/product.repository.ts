// The only SQL over products and SKUs. A change is one transaction of row, SKUs and outbox; remote
// calls never happen inside it.
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import {
  type Database,
  type Queryable,
  sql,
  type Transaction,
} from "../../mixins/database/database.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import type { Decision } from "../contracts/decision.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Product, QuotedLine } from "../contracts/product.ts";
import {
  type Created,
  lowestPrice,
  type OpeningStock,
  type ProductState,
} from "./domain/product.ts";
import {
  attributesOf,
  productOf,
  type ProductRow,
  type QuoteRow,
  quotedLineOf,
  type SkuRow,
  stateOf,
} from "./product.rows.ts";

const PRODUCT_COLUMNS =
  "id, name, description, category_id, price, status, version, created_at, updated_at";

const INSERT_PRODUCT = sql(
  "product.insert",
  `INSERT INTO products (${PRODUCT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);
/** Inserts new SKUs and overwrites known ones. */
const STORE_SKUS = sql(
  "product.store_skus",
  `INSERT INTO skus (id, product_id, position, attributes, price) VALUES ?
   ON DUPLICATE KEY UPDATE attributes = VALUES(attributes), price = VALUES(price)`,
);
const UPDATE_PRODUCT = sql(
  "product.update",
  `UPDATE products SET name = ?, description = ?, category_id = ?, price = ?, status = ?,
     version = ?, updated_at = ?
   WHERE id = ?`,
);
const SELECT_PRODUCTS = sql(
  "product.find",
  `SELECT ${PRODUCT_COLUMNS} FROM products WHERE id IN (?)`,
);
const LOCK_PRODUCT = sql(
  "product.lock",
  `SELECT ${PRODUCT_COLUMNS} FROM products WHERE id = ? FOR UPDATE`,
);
const SELECT_SKUS = sql(
  "product.find_skus",
  `SELECT id, product_id, position, attributes, price FROM skus
   WHERE product_id IN (?) ORDER BY product_id, position`,
);
const SELECT_CATEGORY = sql("product.category_exists", "SELECT id FROM categories WHERE id = ?");
const SELECT_QUOTE = sql(
  "product.quote",
  `SELECT skus.id, skus.product_id, skus.attributes, skus.price, products.name
   FROM skus JOIN products ON products.id = skus.product_id
   WHERE skus.id IN (?) AND products.status = 'listed'`,
);
const SELECT_IDS = sql(
  "product.ids_after",
  "SELECT id FROM products WHERE id > ? ORDER BY id LIMIT ?",
);
const COUNT_ALL = sql("product.count_all", "SELECT COUNT(*) AS total FROM products");

export interface CreatedProduct {
  readonly product: Product;
  readonly opening_stock: OpeningStock[];
}

export interface ProductRepository {
  /** Stores what `decide` makes; a repeated idempotency key gives the first answer again. */
  create(
    claim: IdempotencyClaim | undefined,
    decide: () => Created,
  ): Promise<{ readonly value: CreatedProduct; readonly isReplay: boolean }>;
  /** Locks, decides, stores. `isChanged` is false when the decision changed nothing.
   * @throws PRODUCT_NOT_FOUND */
  update(
    id: string,
    decide: (product: ProductState) => Decision<ProductState>,
  ): Promise<{ readonly product: Product; readonly isChanged: boolean }>;
  /** Those of the ids that exist, in no particular order. */
  find(ids: readonly string[]): Promise<Product[]>;
  /** The lines of the SKUs that are on sale, in no particular order. */
  quote(skuIds: readonly string[]): Promise<QuotedLine[]>;
  /** A page of all product ids in ascending order. */
  idsAfter(id: string, limit: number): Promise<string[]>;
  count(): Promise<number>;
}

export function createProductRepository(database: Database): ProductRepository {
  return {
    create: (claim, decide) => create(database, claim, decide),
    update: (id, decide) => update(database, id, decide),
    find: (ids) => find(database, ids),
    async quote(skuIds) {
      return (await database.rows<QuoteRow>(SELECT_QUOTE, [skuIds])).map(quotedLineOf);
    },
    async idsAfter(id, limit) {
      return (await database.rows<{ id: string }>(SELECT_IDS, [id, limit])).map((row) => row.id);
    },
    async count() {
      return Number((await database.row<{ total: string }>(COUNT_ALL))?.total ?? 0);
    },
  };
}

async function create(
  database: Database,
  claim: IdempotencyClaim | undefined,
  decide: () => Created,
): Promise<{ value: CreatedProduct; isReplay: boolean }> {
  return await database.transaction("product.create", (tx) =>
    runIdempotent(tx, claim, async () => {
      const { state, events, openingStock } = decide();
      await refuseUnknownCategory(tx, state.categoryId);
      await tx.run(INSERT_PRODUCT, [
        state.id,
        state.name,
        state.description,
        state.categoryId,
        lowestPrice(state.skus),
        state.status,
        state.version,
        state.createdAt,
        state.updatedAt,
      ]);
      await tx.run(STORE_SKUS, [skuRows(state)]);
      await appendEvents(tx, events);
      return { product: productOf(state), opening_stock: [...openingStock] };
    }),
  );
}

async function update(
  database: Database,
  id: string,
  decide: (product: ProductState) => Decision<ProductState>,
): Promise<{ product: Product; isChanged: boolean }> {
  return await database.transaction("product.update", async (tx) => {
    const row = await tx.row<ProductRow>(LOCK_PRODUCT, [id]);
    if (row === undefined) throw new PlatformError("PRODUCT_NOT_FOUND");
    const before = stateOf(row, await tx.rows<SkuRow>(SELECT_SKUS, [[id]]));
    const { state, events } = decide(before);
    if (events.length === 0) return { product: productOf(state), isChanged: false };
    if (state.categoryId !== before.categoryId) await refuseUnknownCategory(tx, state.categoryId);
    await tx.run(UPDATE_PRODUCT, [
      state.name,
      state.description,
      state.categoryId,
      lowestPrice(state.skus),
      state.status,
      state.version,
      state.updatedAt,
      state.id,
    ]);
    await tx.run(STORE_SKUS, [skuRows(state)]);
    await appendEvents(tx, events);
    return { product: productOf(state), isChanged: true };
  });
}

async function find(from: Queryable, ids: readonly string[]): Promise<Product[]> {
  if (ids.length === 0) return [];
  return await withSkus(from, await from.rows<ProductRow>(SELECT_PRODUCTS, [ids]));
}

/** The products of the rows, in the order of the rows. */
async function withSkus(from: Queryable, rows: readonly ProductRow[]): Promise<Product[]> {
  if (rows.length === 0) return [];
  const skus = await from.rows<SkuRow>(SELECT_SKUS, [rows.map((row) => row.id)]);
  const byProduct = Map.groupBy(skus, (sku) => sku.product_id);
  // A product and its SKUs are stored together, but read by two statements: a product that was
  // created in between has both or is not among the rows.
  return rows.map((row) => productOf(stateOf(row, byProduct.get(row.id) ?? [])));
}

async function refuseUnknownCategory(tx: Transaction, categoryId: string | null): Promise<void> {
  if (categoryId === null) return;
  const row = await tx.row(SELECT_CATEGORY, [categoryId]);
  if (row !== undefined) return;
  throw new PlatformError("VALIDATION_FAILED", [
    { field: "category_id", rule: "exists", message: "is no category" },
  ]);
}

function skuRows(state: ProductState): unknown[][] {
  return state.skus.map((sku, position) => [
    sku.id,
    state.id,
    position,
    attributesOf(sku.attributes),
    sku.price,
  ]);
}
