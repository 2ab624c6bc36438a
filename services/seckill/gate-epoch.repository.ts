// What the keepers of gates read of sales, and the way back when a load fails.
import { type Database, type Queryable, sql } from "../../mixins/database/database.ts";
import type { Sale } from "./domain/sale.ts";
import { GATE_PAGE_MAX, type GateHolder } from "./gate.ts";
import { SALES_AT_ONCE_MAX } from "./sale.repository.ts";

/** Holders of one query; handed on in pages of GATE_PAGE_MAX. */
const HOLDERS_READ_AT_ONCE = 5_000;

const FIND = sql(
  "seckill.gate.sales",
  `SELECT id, mode, epoch, gate_run_id,
     mode = 'loading' OR (mode = 'db' AND (gate_after IS NULL OR gate_after <= NOW(3))) AS isDue
   FROM sales
   WHERE status = 'published' AND strategy = 'gate' AND ends_at > NOW(3)
   ORDER BY ends_at LIMIT ?`,
);

const HOLDERS = sql(
  "seckill.gate.holders",
  `SELECT user_id, order_id, request_id FROM admissions
   WHERE sale_id = ? AND user_id > ? AND live = 1 ORDER BY user_id LIMIT ?`,
);

const FACTS = sql(
  "seckill.gate.facts",
  `SELECT mode, epoch, quantity - admitted - returned AS remaining,
     EXISTS (SELECT 1 FROM give_backs WHERE sale_id = sales.id) AS isGivingBack
   FROM sales WHERE id = ?`,
);

const ABANDON = sql(
  "seckill.gate.abandon-load",
  `UPDATE sales SET gate_flips = gate_flips + 1,
     gate_after = NOW(3) + INTERVAL LEAST(30, POW(2, LEAST(gate_flips, 5))) SECOND,
     mode_since = NOW(3), mode = 'db', updated_at = NOW(3)
   WHERE id = ? AND mode = 'loading' AND epoch = ?`,
);

export interface GatedSale {
  readonly id: string;
  readonly mode: Sale["mode"];
  readonly epoch: number;
  readonly gateRunId: string | null;
  /** Its gate is to be loaded now: it was never, its wait is over, or whoever loaded it is gone. */
  readonly isDue: boolean;
}

interface GatedRow extends Omit<GatedSale, "gateRunId" | "isDue"> {
  readonly gate_run_id: string | null;
  readonly isDue: number;
}

/** Published sales with a gate whose end has not come. */
export async function findGatedSales(database: Queryable): Promise<readonly GatedSale[]> {
  const rows = await database.rows<GatedRow>(FIND, [SALES_AT_ONCE_MAX]);
  return rows.map(({ id, mode, epoch, gate_run_id: gateRunId, isDue }) => ({
    id,
    mode,
    epoch,
    gateRunId,
    isDue: isDue === 1,
  }));
}

/**
 * Live admissions of a sale in pages. While its mode is `loading` none is added, so that what is left
 * out was given back, and its unit is among those that nobody holds.
 */
export async function* liveHolders(
  database: Queryable,
  saleId: string,
): AsyncGenerator<readonly GateHolder[]> {
  let next: Promise<readonly GateHolder[]> | undefined = readHolders(database, saleId, "0");
  while (next !== undefined) {
    const holders: readonly GateHolder[] = await next;
    const last = holders.at(-1);
    const isLast = last === undefined || holders.length < HOLDERS_READ_AT_ONCE;
    // Read ahead while these are being loaded; a failure is met when its turn comes.
    next = isLast ? undefined : readHolders(database, saleId, last.userId);
    next?.catch(() => undefined);
    for (let at = 0; at < holders.length; at += GATE_PAGE_MAX) {
      yield holders.slice(at, at + GATE_PAGE_MAX);
    }
  }
}

async function readHolders(
  database: Queryable,
  saleId: string,
  afterUserId: string,
): Promise<readonly GateHolder[]> {
  const rows = await database.rows<{ user_id: string; order_id: string; request_id: string }>(
    HOLDERS,
    [saleId, afterUserId, HOLDERS_READ_AT_ONCE],
  );
  return rows.map(({ user_id: userId, order_id: orderId, request_id: requestId }) => ({
    userId,
    orderId,
    requestId,
  }));
}

export interface SaleFacts {
  readonly mode: Sale["mode"];
  readonly epoch: number;
  /** Units nobody holds. */
  readonly remaining: number;
  /** Some are on their way back and the gate may not know. */
  readonly isGivingBack: boolean;
}

export async function readFacts(
  database: Queryable,
  saleId: string,
): Promise<SaleFacts | undefined> {
  const row = await database.row<{
    mode: Sale["mode"];
    epoch: number;
    remaining: string | number;
    isGivingBack: number;
  }>(FACTS, [saleId]);
  if (row === undefined) return undefined;
  const { mode, epoch, remaining, isGivingBack } = row;
  return { mode, epoch, remaining: Number(remaining), isGivingBack: isGivingBack === 1 };
}

/** The load of this epoch has failed: the database admits, and the gate waits longer each time. */
export async function abandonLoading(
  database: Database,
  { id, epoch }: Pick<Sale, "id" | "epoch">,
): Promise<void> {
  await database.run(ABANDON, [id, epoch]);
}
