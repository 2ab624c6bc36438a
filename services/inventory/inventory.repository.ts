// What admins and the product service do to stock, and the reads: one transaction each, the SKU's
// row locked first. Reservations are written by reserve.ts and settle.ts.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import { runIdempotent } from "../../mixins/idempotency/idempotency.repository.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Movement, MovementKind, StockLevel } from "../contracts/inventory.ts";
import { must } from "../kernel/assert.ts";
import { type PageOf, pageOf, QUANTITY_MAX } from "../kernel/schema.ts";
import { BOOKINGS, onHand, type Stock, type StockBook } from "./domain/stock.ts";
import { lockStock, makeStockRows, readStock, writeBook } from "./stock.repository.ts";

const MOVEMENTS = sql(
  "inventory.movements.page",
  `SELECT id, sku_id, kind, available_delta, reserved_delta, allotted_delta,
          cause_type, cause_id, reason, created_at
   FROM stock_movements WHERE sku_id = ? ORDER BY id DESC LIMIT ? OFFSET ?`,
);

const COUNT_MOVEMENTS = sql(
  "inventory.movements.count",
  "SELECT COUNT(*) AS total FROM stock_movements WHERE sku_id = ?",
);

interface MovementRow {
  readonly id: string;
  readonly sku_id: string;
  readonly kind: MovementKind;
  readonly available_delta: number;
  readonly reserved_delta: number;
  readonly allotted_delta: number;
  readonly cause_type: string;
  readonly cause_id: string;
  readonly reason: string | null;
  readonly created_at: Date;
}

export interface StockOfSku {
  readonly skuId: string;
  readonly quantity: number;
}

/** A change of one SKU by an admin; `stock` is the row afterwards. */
export interface StockChange {
  readonly stock: Stock;
  readonly level: StockLevel;
  readonly isReplay: boolean;
}

/** Errors: SKU_NOT_FOUND. */
export async function findLevel(database: Database, skuId: string): Promise<StockLevel> {
  const [stock] = await readStock(database, [skuId]);
  if (stock === undefined) throw new PlatformError("SKU_NOT_FOUND");
  return levelOf(stock);
}

export interface PutStock {
  readonly skuId: string;
  readonly onHand: number;
  /** Kept as it is when absent. */
  readonly safetyStock: number | undefined;
  readonly adminId: string;
}

/** Errors: SKU_NOT_FOUND, INVENTORY_BELOW_RESERVED. */
export async function putStock(database: Database, put: PutStock): Promise<StockChange> {
  return await database.transaction("inventory.put", async (tx) => {
    const { book, stock } = await lockOne(tx, put.skuId);
    const difference = put.onHand - onHand(stock);
    const safetyStock = put.safetyStock ?? stock.safetyStock;
    if (difference !== 0) bookAdjustment(book, put, difference, "count");
    if (safetyStock !== stock.safetyStock) book.setSafetyStock(put.skuId, safetyStock);
    const [changed = stock] = await writeBook(tx, book);
    return { stock: changed, level: levelOf(changed), isReplay: false };
  });
}

export interface AdjustStock {
  readonly skuId: string;
  /** Units that come in, or go when negative. */
  readonly delta: number;
  readonly reason: string;
  readonly adminId: string;
}

/** Errors: SKU_NOT_FOUND, INVENTORY_BELOW_RESERVED, VALIDATION_FAILED beyond QUANTITY_MAX units. */
export async function adjustStock(
  database: Database,
  adjust: AdjustStock,
  claim: IdempotencyClaim | undefined,
): Promise<StockChange> {
  return await database.transaction("inventory.adjust", async (tx) => {
    const { value, isReplay } = await runIdempotent(tx, claim, async () => {
      const { book, stock } = await lockOne(tx, adjust.skuId);
      refuseTooMany(onHand(stock) + adjust.delta);
      bookAdjustment(book, adjust, adjust.delta, adjust.reason);
      const [changed] = await writeBook(tx, book);
      return must(changed, "the adjusted stock row");
    });
    return { stock: value, level: levelOf(value), isReplay };
  });
}

/** Books the first stock of SKUs; those opened before are left as they are. Answers the others. */
export async function openStock(
  tx: Transaction,
  skus: readonly StockOfSku[],
): Promise<readonly Stock[]> {
  if (skus.length === 0) return [];
  const skuIds = skus.map(({ skuId }) => skuId);
  await makeStockRows(tx, skuIds);
  const book = await lockStock(tx, skuIds);
  const opened = new Set<string>();
  for (const { skuId, quantity } of skus) {
    if (book.get(skuId).version > 0 || opened.has(skuId)) continue;
    opened.add(skuId);
    bookOpening(book, skuId, quantity);
  }
  return await writeBook(tx, book);
}

function bookOpening(book: StockBook, skuId: string, quantity: number): void {
  if (quantity === 0) {
    book.touch(skuId);
    return;
  }
  book.book({
    skuId,
    kind: "receipt",
    delta: BOOKINGS.receive(quantity),
    causeType: "opening",
    causeId: skuId,
    reason: null,
  });
}

/** The ledger of a SKU, newest first. An unknown SKU has none: SKU_NOT_FOUND. */
export async function listMovements(
  database: Database,
  params: { readonly sku_id: string; readonly page?: number; readonly page_size?: number },
): Promise<PageOf<Movement>> {
  const { page, pageSize, offset } = pageOf(params);
  const [[stock], counted, rows] = await Promise.all([
    readStock(database, [params.sku_id]),
    database.row<{ total: string }>(COUNT_MOVEMENTS, [params.sku_id]),
    database.rows<MovementRow>(MOVEMENTS, [params.sku_id, pageSize, offset]),
  ]);
  if (stock === undefined) throw new PlatformError("SKU_NOT_FOUND");
  return {
    items: rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() })),
    page,
    page_size: pageSize,
    total: Number(counted?.total ?? 0),
  };
}

async function lockOne(
  tx: Transaction,
  skuId: string,
): Promise<{ readonly book: StockBook; readonly stock: Stock }> {
  const book = await lockStock(tx, [skuId]);
  const stock = book.find(skuId);
  if (stock === undefined) throw new PlatformError("SKU_NOT_FOUND");
  return { book, stock };
}

function bookAdjustment(
  book: StockBook,
  by: { readonly skuId: string; readonly adminId: string },
  difference: number,
  reason: string,
): void {
  const stock = book.get(by.skuId);
  if (stock.available + difference < 0) {
    throw new PlatformError("INVENTORY_BELOW_RESERVED", {
      reserved: stock.reserved,
      allotted: stock.allotted,
    });
  }
  book.book({
    skuId: by.skuId,
    kind: "adjustment",
    delta: BOOKINGS.receive(difference),
    causeType: "admin",
    // The version makes the cause unique: it belongs to one transaction on this SKU.
    causeId: `${by.adminId}.${stock.version + 1}`,
    reason,
  });
}

function refuseTooMany(units: number): void {
  if (units <= QUANTITY_MAX) return;
  throw new PlatformError("VALIDATION_FAILED", [
    { field: "delta", rule: "maximum", message: `stock cannot exceed ${QUANTITY_MAX} units` },
  ]);
}

function levelOf(stock: Stock): StockLevel {
  return {
    sku_id: stock.skuId,
    on_hand: onHand(stock),
    reserved: stock.reserved,
    available: stock.available,
    allotted: stock.allotted,
    safety_stock: stock.safetyStock,
  };
}
