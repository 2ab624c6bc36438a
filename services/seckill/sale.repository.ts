// The door to sales: whoever changes one locks its row, decides, and writes the row and its events
// in one transaction. The lock on a sale's row orders everything that happens to its units.
import {
  type Database,
  type Queryable,
  sql,
  type Transaction,
} from "../../mixins/database/database.ts";
import { appendEvents } from "../../mixins/outbox/outbox.ts";
import type { Decision } from "../contracts/decision.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { SaleStrategy, StoredSaleStatus } from "../contracts/seckill.ts";
import { must } from "../kernel/assert.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import type { Sale, SaleMode } from "./domain/sale.ts";

const COLUMNS = [
  "id, sku_id, product_id, name, title, price, currency, quantity, admitted, granted, returned",
  "pass_required, strategy, status, attempt, mode, epoch, version, gate_run_id, starts_at, ends_at",
].join(", ");

const FIND = sql("seckill.sales.find", `SELECT ${COLUMNS} FROM sales WHERE id = ?`);

const LOCK = sql(
  "seckill.sales.lock",
  `SELECT ${COLUMNS}, NOW(3) AS now FROM sales WHERE id = ? FOR UPDATE`,
);

const INSERT = sql(
  "seckill.sales.insert",
  `INSERT INTO sales (id, sku_id, product_id, name, title, price, currency, quantity, pass_required,
     strategy, starts_at, ends_at, created_by) VALUES (?)`,
);

const WRITE = sql(
  "seckill.sales.write",
  `UPDATE sales SET admitted = ?, granted = ?, returned = ?, status = ?, attempt = ?,
          mode_since = IF(mode = ?, mode_since, NOW(3)), mode = ?, epoch = ?, version = ?,
          gate_run_id = ?, updated_at = NOW(3)
   WHERE id = ?`,
);

const PAGE = sql(
  "seckill.sales.page",
  `SELECT ${COLUMNS} FROM sales ORDER BY starts_at DESC, id DESC LIMIT ? OFFSET ?`,
);

const COUNT = sql("seckill.sales.count", "SELECT COUNT(*) AS total FROM sales");

const FIND_RUNNING = sql(
  "seckill.sales.running",
  `SELECT ${COLUMNS} FROM sales WHERE status IN ('publishing', 'published', 'closing')
   ORDER BY ends_at LIMIT ?`,
);

const COUNT_RUNNING = sql(
  "seckill.sales.count-running",
  "SELECT COUNT(*) AS total FROM sales WHERE status IN ('publishing', 'published', 'closing')",
);

const FIND_BY_STATUS = sql(
  "seckill.sales.by-status",
  `SELECT ${COLUMNS} FROM sales WHERE status = ? ORDER BY ends_at LIMIT ?`,
);

const FIND_ENDED = sql(
  "seckill.sales.ended",
  `SELECT ${COLUMNS} FROM sales
   WHERE status = 'published' AND ends_at <= NOW(3) - INTERVAL ? MICROSECOND
   ORDER BY ends_at LIMIT ?`,
);

// Assigned from left to right: a gate that failed again within a minute of its return waits twice as
// long, from 2 s to 30 s.
const LEAVE_GATE = sql(
  "seckill.sales.leave-gate",
  `UPDATE sales SET
     gate_flips = IF(mode_since > NOW(3) - INTERVAL 60 SECOND, gate_flips + 1, 0),
     gate_after = NOW(3) + INTERVAL LEAST(30, 2 * POW(2, LEAST(gate_flips, 4))) SECOND,
     mode_since = NOW(3), mode = 'db', updated_at = NOW(3)
   WHERE id = ? AND mode = 'redis' AND epoch = ?`,
);

/** Sales between their publish and their end; one look of a keeper or a gateway takes them all in. */
export const SALES_AT_ONCE_MAX = 2_000;
const US_PER_MS = 1_000;

interface SaleRow {
  readonly id: string;
  readonly sku_id: string;
  readonly product_id: string;
  readonly name: string;
  readonly title: string;
  readonly price: string;
  readonly currency: string;
  readonly quantity: number;
  readonly admitted: number;
  readonly granted: number;
  readonly returned: number;
  readonly pass_required: number;
  readonly strategy: SaleStrategy;
  readonly status: StoredSaleStatus;
  readonly attempt: number;
  readonly mode: SaleMode;
  readonly epoch: number;
  readonly version: number;
  readonly gate_run_id: string | null;
  readonly starts_at: Date;
  readonly ends_at: Date;
}

function saleOf(row: SaleRow): Sale {
  return {
    id: row.id,
    skuId: row.sku_id,
    productId: row.product_id,
    name: row.name,
    title: row.title,
    price: Number(row.price),
    currency: row.currency,
    quantity: row.quantity,
    admitted: row.admitted,
    granted: row.granted,
    returned: row.returned,
    isPassRequired: row.pass_required === 1,
    strategy: row.strategy,
    status: row.status,
    attempt: row.attempt,
    mode: row.mode,
    epoch: row.epoch,
    version: row.version,
    gateRunId: row.gate_run_id,
    startsAt: row.starts_at,
    endsAt: row.ends_at,
  };
}

export async function findSale(database: Queryable, id: string): Promise<Sale | undefined> {
  const row = await database.row<SaleRow>(FIND, [id]);
  return row === undefined ? undefined : saleOf(row);
}

/** Errors: SECKILL_SALE_NOT_FOUND. */
export function existing<T>(sale: T | undefined): T {
  if (sale === undefined) throw new PlatformError("SECKILL_SALE_NOT_FOUND");
  return sale;
}

export interface LockedSale {
  readonly sale: Sale;
  /** The database's time. */
  readonly now: Date;
}

export async function lockSale(tx: Transaction, id: string): Promise<LockedSale | undefined> {
  const row = await tx.row<SaleRow & { readonly now: Date }>(LOCK, [id]);
  return row === undefined ? undefined : { sale: saleOf(row), now: row.now };
}

export async function insertSale(tx: Transaction, sale: Sale, createdBy: string): Promise<void> {
  await tx.run(INSERT, [
    [
      sale.id,
      sale.skuId,
      sale.productId,
      sale.name,
      sale.title,
      sale.price,
      sale.currency,
      sale.quantity,
      sale.isPassRequired ? 1 : 0,
      sale.strategy,
      sale.startsAt,
      sale.endsAt,
      createdBy,
    ],
  ]);
}

/** Writes what may change of a sale whose row is locked. */
export async function writeSale(tx: Transaction, sale: Sale): Promise<void> {
  await tx.run(WRITE, [
    sale.admitted,
    sale.granted,
    sale.returned,
    sale.status,
    sale.attempt,
    sale.mode,
    sale.mode,
    sale.epoch,
    sale.version,
    sale.gateRunId,
    sale.id,
  ]);
}

export interface ChangedSale {
  readonly sale: Sale;
  /** False when the command had been carried out before. */
  readonly isChange: boolean;
}

/**
 * Changes one sale. `decide` may be run more than once. Errors: SECKILL_SALE_NOT_FOUND and what
 * `decide` throws.
 */
export async function updateSale(
  database: Database,
  id: string,
  decide: (sale: Sale, now: Date) => Decision<Sale>,
): Promise<ChangedSale> {
  let wanted: Sale | undefined;
  return await database.transaction(
    "seckill.sales.update",
    async (tx) => {
      const { sale, now } = existing(await lockSale(tx, id));
      const { state, events } = decide(sale, now);
      wanted = state;
      if (state === sale) return { sale, isChange: false };
      await Promise.all([writeSale(tx, state), appendEvents(tx, events)]);
      return { sale: state, isChange: true };
    },
    {
      resolve: async (tx) => {
        const { sale } = existing(await lockSale(tx, id));
        const { status, epoch, attempt } = must(wanted, "the sale whose commit is in doubt");
        const isThere = sale.status === status && sale.epoch === epoch && sale.attempt === attempt;
        return isThere
          ? { outcome: "committed", value: { sale, isChange: true } }
          : { outcome: "not_committed" };
      },
    },
  );
}

export async function listSales(
  database: Database,
  params: { readonly page?: number; readonly page_size?: number },
): Promise<PageOf<Sale>> {
  const { page, pageSize, offset } = pageOf(params);
  const [rows, count] = await Promise.all([
    database.rows<SaleRow>(PAGE, [pageSize, offset]),
    database.row<{ total: string }>(COUNT),
  ]);
  return {
    items: rows.map(saleOf),
    page,
    page_size: pageSize,
    total: Number(count?.total ?? 0),
  };
}

/** Whether as many sales run as the keepers of gates look after. */
export async function isFullOfSales(database: Database): Promise<boolean> {
  const row = await database.row<{ total: string }>(COUNT_RUNNING);
  return Number(row?.total ?? 0) >= SALES_AT_ONCE_MAX;
}

/** Sales between their publish and their end, those that end first first. */
export async function findRunningSales(database: Database): Promise<readonly Sale[]> {
  return (await database.rows<SaleRow>(FIND_RUNNING, [SALES_AT_ONCE_MAX])).map(saleOf);
}

export async function findSalesIn(
  database: Database,
  status: StoredSaleStatus,
): Promise<readonly Sale[]> {
  return (await database.rows<SaleRow>(FIND_BY_STATUS, [status, SALES_AT_ONCE_MAX])).map(saleOf);
}

/** Published sales whose end is at least `graceMs` ago. */
export async function findEndedSales(
  database: Database,
  graceMs: number,
): Promise<readonly Sale[]> {
  const params = [graceMs * US_PER_MS, SALES_AT_ONCE_MAX];
  return (await database.rows<SaleRow>(FIND_ENDED, params)).map(saleOf);
}

/** The gate of this epoch cannot be trusted: winners are chosen by the database from now on. */
export async function leaveGate(
  database: Database,
  { id, epoch }: Pick<Sale, "id" | "epoch">,
): Promise<boolean> {
  return (await database.run(LEAVE_GATE, [id, epoch])).affectedRows === 1;
}
