// The equations of one sale, from its own rows and the order service's sums. Both are read one after
// the other, so a sale that is being bought is compared by what cannot overtake: an order is never
// there before its admission.
import type { Context } from "moleculer";
import { type Database, sql } from "../../mixins/database/database.ts";
import { type ActionResult, call } from "../contracts/actions.ts";
import { STATUS_IDS_MAX } from "../contracts/order.ts";
import type { SaleAudit } from "../contracts/seckill.ts";
import { existing, findSale } from "./sale.repository.ts";
import { remainingOf, type Sale } from "./domain/sale.ts";
import type { AdmissionState } from "./domain/admission.ts";

/** Rows named per rule. */
const ROWS_MAX = 20;
/** An order row may be this late after its admission. */
const ORDER_LATE_S = 60;
const ORDERS_TIMEOUT_MS = 8_000;

const COUNT = sql(
  "seckill.audit.count",
  "SELECT state, COUNT(*) AS admissions FROM admissions WHERE sale_id = ? GROUP BY state",
);

const TWICE = sql(
  "seckill.audit.twice",
  `SELECT user_id FROM admissions WHERE sale_id = ? AND live = 1
   GROUP BY user_id HAVING COUNT(*) > 1 LIMIT ?`,
);

const LAST_SEQ = sql(
  "seckill.audit.last-seq",
  "SELECT COALESCE(MAX(seq), 0) AS seq FROM admissions WHERE sale_id = ?",
);

const OLD_ADMISSIONS = sql(
  "seckill.audit.old",
  `SELECT order_id, created_at FROM admissions
   WHERE sale_id = ? AND seq IS NOT NULL AND created_at < NOW(3) - INTERVAL ? SECOND
   ORDER BY seq DESC LIMIT ?`,
);

interface Counts {
  readonly live: number;
  readonly givenBack: number;
  readonly void: number;
}

type Broken = SaleAudit["offending"][number];
type OrderSums = ActionResult<"order.ofSale">;

/** @param showsRows false for the public, who is told the rules only. */
export async function auditSale(
  database: Database,
  ctx: Context,
  { id, showsRows }: { readonly id: string; readonly showsRows: boolean },
): Promise<SaleAudit> {
  const orders = await call(ctx, "order.ofSale", { sale_id: id }, { timeout: ORDERS_TIMEOUT_MS });
  const { sale, counts, lastSeq, twice } = await readSale(database, id);
  const offending = [
    ...unitFaults(sale, counts, lastSeq),
    ...orderFaults(sale, counts, orders),
    ...rowsFault("one live admission per buyer", twice),
    ...rowsFault("every admission has its order", await missingOrders(database, ctx, id)),
  ];
  return {
    sale_id: id,
    quantity: sale.quantity,
    live: counts.live,
    given_back: counts.givenBack,
    void: counts.void,
    returned: sale.returned,
    remaining: remainingOf(sale),
    orders: statusesOf(counts, orders),
    holds: offending.length === 0,
    offending: offending.map(({ rule, rows }) => ({ rule, rows: showsRows ? rows : [] })),
  };
}

interface SaleReading {
  readonly sale: Sale;
  readonly counts: Counts;
  readonly lastSeq: number;
  readonly twice: readonly string[];
}

/** In one transaction that locks nothing but the sale's row: its counters and its rows agree. */
async function readSale(database: Database, id: string): Promise<SaleReading> {
  existing(await findSale(database, id));
  return await database.transaction("seckill.audit", async (tx) => {
    await tx.row(SHARE, [id]);
    const sale = existing(await findSale(tx, id));
    const rows = await tx.rows<{ state: AdmissionState; admissions: string }>(COUNT, [id]);
    const count = (state: AdmissionState): number =>
      Number(rows.find((row) => row.state === state)?.admissions ?? 0);
    const last = await tx.row<{ seq: string }>(LAST_SEQ, [id]);
    const twice = await tx.rows<{ user_id: string }>(TWICE, [id, ROWS_MAX]);
    return {
      sale,
      counts: { live: count("live"), givenBack: count("given_back"), void: count("void") },
      lastSeq: Number(last?.seq ?? 0),
      twice: twice.map(({ user_id }) => `user ${user_id}`),
    };
  });
}

const SHARE = sql("seckill.audit.lock", "SELECT id FROM sales WHERE id = ? FOR UPDATE");

function unitFaults(sale: Sale, counts: Counts, lastSeq: number): readonly Broken[] {
  const { quantity, admitted, granted, returned } = sale;
  const isEnded = sale.status === "closing" || sale.status === "closed";
  const ever = counts.live + counts.givenBack;
  return [
    ...equation("admitted = live admissions", admitted, counts.live),
    ...equation("admissions ever = live + given back", granted, ever),
    ...equation("admissions are numbered without a gap", lastSeq, granted),
    ...equation("quantity = live + remaining + returned", quantity, [
      counts.live,
      remainingOf(sale),
      returned,
    ]),
    ...(isEnded ? equation("quantity = live + returned", quantity, [counts.live, returned]) : []),
  ];
}

function orderFaults(sale: Sale, counts: Counts, orders: OrderSums): readonly Broken[] {
  const made = orders.statuses.reduce((sum, one) => sum + one.orders, 0);
  const priced = made * sale.price;
  const ever = counts.live + counts.givenBack;
  return [
    ...equation("every order costs the sale's price", orders.total_price, priced),
    ...(made > ever
      ? [{ rule: "no order without an admission", rows: [`${made} > ${ever}`] }]
      : []),
    ...(orders.refunded > orders.paid
      ? [{ rule: "refunded <= paid", rows: [`${orders.refunded} > ${orders.paid}`] }]
      : []),
  ];
}

function equation(rule: string, left: number, right: number | readonly number[]): Broken[] {
  const terms = typeof right === "number" ? [right] : right;
  const sum = terms.reduce((total, term) => total + term, 0);
  return left === sum ? [] : [{ rule, rows: [`${left} <> ${terms.join(" + ")}`] }];
}

function rowsFault(rule: string, rows: readonly string[]): Broken[] {
  return rows.length === 0 ? [] : [{ rule, rows: [...rows] }];
}

function statusesOf(counts: Counts, { statuses }: OrderSums): Record<string, number> {
  const made = statuses.reduce((sum, one) => sum + one.orders, 0);
  const queued = Math.max(0, counts.live + counts.givenBack - made);
  return {
    ...(queued === 0 ? {} : { queued }),
    ...Object.fromEntries(statuses.map(({ status, orders }) => [status, orders])),
  };
}

/** Of the youngest admissions that are old enough, those without an order. */
async function missingOrders(
  database: Database,
  ctx: Context,
  saleId: string,
): Promise<readonly string[]> {
  const admissions = await database.rows<{ order_id: string }>(OLD_ADMISSIONS, [
    saleId,
    ORDER_LATE_S,
    STATUS_IDS_MAX,
  ]);
  if (admissions.length === 0) return [];
  const ids = admissions.map(({ order_id }) => order_id);
  const { items } = await call(ctx, "order.statuses", { order_ids: ids });
  const made = new Set(items.map(({ order_id }) => order_id));
  return ids
    .filter((id) => !made.has(id))
    .slice(0, ROWS_MAX)
    .map((id) => `order ${id}`);
}
