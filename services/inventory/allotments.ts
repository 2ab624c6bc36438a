// Units of flash sales: handed over when a sale is published, booked back when it ends or when a
// buyer gives one back afterwards. Lock order: the stock row first, then the allotment.
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import { isDuplicateKey } from "../../mixins/database/database-error.ts";
import { must } from "../kernel/assert.ts";
import { BOOKINGS, orderable, type Stock, type StockBook } from "./domain/stock.ts";
import { lockStock, writeBook } from "./stock.repository.ts";

export interface AllotCommand {
  readonly saleId: string;
  readonly attempt: number;
  readonly skuId: string;
  readonly quantity: number;
}

export interface Allotted {
  readonly outcome: "allotted" | "refused";
  readonly changed: readonly Stock[];
}

type AllotmentStatus = "allotted" | "refused" | "closed";

interface AllotmentRow {
  readonly sale_id: string;
  readonly attempt: number;
  readonly sku_id: string;
  readonly status: AllotmentStatus;
}

const INSERT = sql(
  "inventory.allotments.insert",
  "INSERT INTO allotments (sale_id, attempt, sku_id, quantity, status) VALUES (?, ?, ?, ?, ?)",
);

const FIND = sql(
  "inventory.allotments.find",
  "SELECT sale_id, attempt, sku_id, status FROM allotments WHERE sale_id = ? AND attempt = ?",
);

const LOCK_GRANTED = sql(
  "inventory.allotments.lock",
  `SELECT sale_id, attempt, sku_id, status FROM allotments
   WHERE sale_id IN (?) AND status <> 'refused' ORDER BY sale_id, attempt FOR UPDATE`,
);

const CLOSE = sql(
  "inventory.allotments.close",
  `UPDATE allotments SET status = 'closed', returned = ?, closed_at = NOW(3)
   WHERE sale_id = ? AND attempt = ? AND status = 'allotted'`,
);

const IS_CLOSED = sql(
  "inventory.allotments.is-closed",
  "SELECT sale_id FROM allotments WHERE sale_id = ? AND status = 'closed'",
);

const RETURNED_BY_ORDERS = sql(
  "inventory.movements.returned",
  `SELECT cause_id FROM stock_movements
   WHERE cause_type = 'order' AND cause_id IN (?) AND kind = 'return'`,
);

/** Answers an attempt the same for ever. Refused: too few units, or an unknown SKU. */
export async function allot(database: Database, command: AllotCommand): Promise<Allotted> {
  try {
    return await database.transaction("inventory.allot", (tx) => allotInside(tx, command), {
      resolve: async (tx) => {
        await lockStock(tx, [command.skuId]);
        const known = await findAnswer(tx, command);
        return known === undefined
          ? { outcome: "not_committed" }
          : { outcome: "committed", value: known };
      },
    });
  } catch (error) {
    // Refused attempts of an unknown SKU have no row to meet at: the key decides between them.
    if (!isDuplicateKey(error)) throw error;
    return must(await findAnswer(database, command), "the answer that was first");
  }
}

async function allotInside(tx: Transaction, command: AllotCommand): Promise<Allotted> {
  const { saleId, attempt, skuId, quantity } = command;
  const book = await lockStock(tx, [skuId]);
  const known = await findAnswer(tx, command);
  if (known !== undefined) return known;
  const stock = book.find(skuId);
  const isGranted = stock !== undefined && orderable(stock) >= quantity;
  const outcome = isGranted ? "allotted" : "refused";
  await tx.run(INSERT, [saleId, attempt, skuId, quantity, outcome]);
  if (isGranted) {
    book.book({
      skuId,
      kind: "allot",
      delta: BOOKINGS.allot(quantity),
      causeType: "sale",
      causeId: saleId,
      reason: null,
    });
  }
  return { outcome, changed: await writeBook(tx, book) };
}

async function findAnswer(
  database: Pick<Database, "row">,
  { saleId, attempt }: AllotCommand,
): Promise<Allotted | undefined> {
  const row = await database.row<AllotmentRow>(FIND, [saleId, attempt]);
  if (row === undefined) return undefined;
  return { outcome: row.status === "refused" ? "refused" : "allotted", changed: [] };
}

export async function isReturned(database: Database, saleId: string): Promise<boolean> {
  return (await database.row(IS_CLOSED, [saleId])) !== undefined;
}

export interface SaleReturn {
  readonly saleId: string;
  readonly skuId: string;
  /** Units never bought. */
  readonly returned: number;
}

/** Books what ended sales did not sell back into the stock, once per sale. */
export async function returnUnsold(
  tx: Transaction,
  returns: readonly SaleReturn[],
): Promise<readonly Stock[]> {
  const book = await lockStock(
    tx,
    returns.map(({ skuId }) => skuId),
  );
  const rows = await tx.rows<AllotmentRow>(LOCK_GRANTED, [returns.map(({ saleId }) => saleId)]);
  const granted = new Map(rows.map((row) => [row.sale_id, row]));
  for (const { saleId, skuId, returned } of returns) {
    const row = must(granted.get(saleId), `the allotment of sale ${saleId}`);
    if (row.status === "closed") continue;
    granted.set(saleId, { ...row, status: "closed" });
    await tx.run(CLOSE, [returned, saleId, row.attempt]);
    if (returned > 0) bookReturn(book, { skuId, units: returned }, ["sale", saleId]);
  }
  return await writeBook(tx, book);
}

export interface UnitReturn {
  readonly orderId: string;
  readonly skuId: string;
}

/** Books units that were given back after their sale's end, once per order. */
export async function returnUnits(
  tx: Transaction,
  returns: readonly UnitReturn[],
): Promise<readonly Stock[]> {
  const book = await lockStock(
    tx,
    returns.map(({ skuId }) => skuId),
  );
  const orderIds = returns.map(({ orderId }) => orderId);
  const rows = await tx.rows<{ cause_id: string }>(RETURNED_BY_ORDERS, [orderIds]);
  const booked = new Set(rows.map(({ cause_id }) => cause_id));
  for (const { orderId, skuId } of returns) {
    if (booked.has(orderId)) continue;
    booked.add(orderId);
    bookReturn(book, { skuId, units: 1 }, ["order", orderId]);
  }
  return await writeBook(tx, book);
}

function bookReturn(
  book: StockBook,
  { skuId, units }: { readonly skuId: string; readonly units: number },
  [causeType, causeId]: readonly ["sale" | "order", string],
): void {
  const delta = BOOKINGS.returnAllotted(units);
  book.book({ skuId, kind: "return", delta, causeType, causeId, reason: null });
}
