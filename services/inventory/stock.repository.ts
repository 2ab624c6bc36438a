// SQL on stock rows and the ledger, inside somebody's transaction. Lock order everywhere in this
// service: stock rows by id, then reservations by id. The only writer of `stock`.
import { sql, type Queryable, type Transaction } from "../../mixins/database/database.ts";
import { assert } from "../kernel/assert.ts";
import { byNumericId, type Stock, StockBook } from "./domain/stock.ts";

const COLUMNS = "sku_id, available, reserved, allotted, safety_stock, version";

const LOCK = sql(
  "inventory.stock.lock",
  `SELECT ${COLUMNS} FROM stock WHERE sku_id IN (?) ORDER BY sku_id FOR UPDATE`,
);

const READ = sql(
  "inventory.stock.read",
  `SELECT ${COLUMNS} FROM stock WHERE sku_id IN (?) ORDER BY sku_id`,
);

const MAKE = sql(
  "inventory.stock.make",
  `INSERT INTO stock (${COLUMNS}) VALUES ? ON DUPLICATE KEY UPDATE sku_id = stock.sku_id`,
);

// The rows are locked and their new values known, so one statement writes them all. A row that is
// not in the version it was read in would get -1 units, which its CHECK refuses: that cannot happen
// under the lock, and must never pass if it does. MySQL and MariaDB assign from left to right, so
// `version` is compared before it is changed.
const WRITE = sql(
  "inventory.stock.write",
  `INSERT INTO stock (${COLUMNS}) VALUES ?
   ON DUPLICATE KEY UPDATE
     available = IF(stock.version + 1 = VALUES(version), VALUES(available), -1),
     reserved = VALUES(reserved),
     allotted = VALUES(allotted),
     safety_stock = VALUES(safety_stock),
     version = VALUES(version)`,
);

/** Rows an INSERT ... ON DUPLICATE KEY UPDATE reports for one existing row that it changed. */
const AFFECTED_PER_UPDATE = 2;

const INSERT_MOVEMENTS = sql(
  "inventory.movements.insert",
  `INSERT INTO stock_movements
     (sku_id, kind, available_delta, reserved_delta, allotted_delta, cause_type, cause_id, reason)
   VALUES ?`,
);

interface StockRow {
  readonly sku_id: string;
  readonly available: number;
  readonly reserved: number;
  readonly allotted: number;
  readonly safety_stock: number;
  readonly version: string;
}

/** Locks the rows of these SKUs in id order; unknown SKUs are left out. */
export async function lockStock(tx: Transaction, skuIds: Iterable<string>): Promise<StockBook> {
  const ids = sortedUnique(skuIds);
  if (ids.length === 0) return new StockBook([]);
  return new StockBook((await tx.rows<StockRow>(LOCK, [ids])).map(stockOf));
}

/** The rows as committed, without a lock; unknown SKUs are left out. */
export async function readStock(
  database: Queryable,
  skuIds: readonly string[],
): Promise<readonly Stock[]> {
  if (skuIds.length === 0) return [];
  return (await database.rows<StockRow>(READ, [skuIds])).map(stockOf);
}

/** Makes rows of version 0 for SKUs that have none. Whoever finds version 0 under the lock opens it. */
export async function makeStockRows(tx: Transaction, skuIds: readonly string[]): Promise<void> {
  await tx.run(MAKE, [sortedUnique(skuIds).map((skuId) => [skuId, 0, 0, 0, 0, 0])]);
}

/** Writes what the book changed: all rows in one statement, all movements in another. */
export async function writeBook(tx: Transaction, book: StockBook): Promise<readonly Stock[]> {
  const changed = book.changed();
  if (changed.length === 0) return changed;
  const movements = book.movements();
  const [written] = await Promise.all([
    tx.run(WRITE, [changed.map(stockValues)]),
    movements.length === 0
      ? undefined
      : tx.run(INSERT_MOVEMENTS, [
          movements.map(({ skuId, kind, delta, causeType, causeId, reason }) => [
            skuId,
            kind,
            delta.available,
            delta.reserved,
            delta.allotted,
            causeType,
            causeId,
            reason,
          ]),
        ]),
  ]);
  assert(
    written.affectedRows === AFFECTED_PER_UPDATE * changed.length,
    "every changed SKU had its row",
  );
  return changed;
}

function sortedUnique(skuIds: Iterable<string>): string[] {
  return [...new Set(skuIds)].sort(byNumericId);
}

function stockOf(row: StockRow): Stock {
  return {
    skuId: row.sku_id,
    available: row.available,
    reserved: row.reserved,
    allotted: row.allotted,
    safetyStock: row.safety_stock,
    version: Number(row.version),
  };
}

function stockValues(stock: Stock): readonly (string | number)[] {
  return [
    stock.skuId,
    stock.available,
    stock.reserved,
    stock.allotted,
    stock.safetyStock,
    stock.version,
  ];
}
