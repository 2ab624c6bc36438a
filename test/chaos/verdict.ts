// Holds what the customers heard against the rows, when everything has come to rest: nothing acknowledged may
// be missing, nothing sold twice, and no unit that somebody wanted may be left over.
import { setTimeout as delay } from "node:timers/promises";
import { DATABASE_SCHEMAS } from "../../config/database.ts";
import { eventually } from "../support/eventually.ts";
import { violations } from "../support/invariants.ts";
import type { Crowd, Goods } from "./crowd.ts";
import { PAYMENT_WINDOW_MS, type Rig } from "./rig.ts";
import type { Witness } from "./witness.ts";

/** Last payments, cancellations, refunds; leases of what was killed; events with their back-off. */
const QUIESCE_TIMEOUT_MS = PAYMENT_WINDOW_MS + 80_000;
const HOLDS_TIMEOUT_MS = 60_000;
const POLL_MS = 400;
const IDS_PER_QUERY_MAX = 1_000;
/** Everything is due at once; a hold may last as long as a campaign does. */
const AT_ONCE = { graceS: 0, holdS: 86_400 } as const;
const DRAINERS = 25;
const DRAIN_ROUNDS_MAX = 40;
const DRAINS_MAX = 6;

export interface Verdict {
  readonly acknowledged: number;
  readonly acknowledged_lost: number;
  readonly oversold: number;
  readonly undersold: number;
  /** Everything that is not as it must be, in words. */
  readonly faults: readonly string[];
}

/** What still moves: rows that will change by themselves. */
const RESTLESS = `SELECT
  (SELECT COUNT(*) FROM {order}.orders WHERE status IN ('placing', 'pending_payment', 'closing')) +
  (SELECT COUNT(*) FROM {order}.sagas WHERE next_at IS NOT NULL) +
  (SELECT COUNT(*) FROM {order}.outbox WHERE published_at IS NULL) +
  (SELECT COUNT(*) FROM {payment}.outbox WHERE published_at IS NULL) +
  (SELECT COUNT(*) FROM {seckill}.outbox WHERE published_at IS NULL) +
  (SELECT COUNT(*) FROM {payment}.refunds WHERE status = 'pending') +
  (SELECT COUNT(*) FROM {seckill}.give_backs) AS moving`;

/** Resolves when every order has come to an end of its own. */
export async function quiesce(rig: Rig): Promise<void> {
  let moving = "?";
  await eventually(
    async () => {
      const [row] = await rig.sql<{ moving: string }>(RESTLESS);
      moving = row?.moving ?? "?";
      return moving === "0";
    },
    { timeoutMs: QUIESCE_TIMEOUT_MS, what: "everything comes to rest", intervalMs: POLL_MS },
  ).catch((error: unknown) => {
    throw new Error(`${moving} rows do not come to rest`, { cause: error });
  });
}

export interface Judged {
  readonly rig: Rig;
  readonly crowd: Crowd;
  readonly goods: Goods;
  readonly witness: Witness;
}

/** The sale is bought empty first: what is left of it then was kept from those who wanted it. */
export async function judge({ rig, crowd, goods, witness }: Judged): Promise<Verdict> {
  const faults: string[] = [];
  await quiesce(rig).catch((error: unknown) => faults.push(String(error)));
  const undersold = await drain(crowd, rig, goods);
  const broken = await brokenInvariants(rig);
  const lost = [...(await lostOrders(rig, witness)), ...(await lostPayments(rig, witness))];
  const oversold = (await oversoldUnits(rig, goods)) + (await doubledOrders(rig, witness));
  return {
    acknowledged: witness.orders.size + witness.payments.size,
    acknowledged_lost: lost.length,
    oversold,
    undersold,
    faults: [...faults, ...witness.faults, ...broken, ...lost],
  };
}

/** Units that nobody got although somebody asked until he was told that there are none. What comes back meanwhile,
 * from buyers who did not pay, is asked for again. */
async function drain(crowd: Crowd, rig: Rig, goods: Goods): Promise<number> {
  let leftOver = 0;
  for (let time = 0; time < DRAINS_MAX; time += 1) {
    await buyEmpty(crowd);
    leftOver = await leftOverOf(rig, goods);
    if (leftOver === 0) return 0;
    await delay(POLL_MS);
  }
  return leftOver;
}

async function buyEmpty(crowd: Crowd): Promise<void> {
  for (let round = 0; round < DRAIN_ROUNDS_MAX; round += 1) {
    const soldOut = await Promise.all(Array.from({ length: DRAINERS }, () => crowd.buyToKeep()));
    if (soldOut.every((one) => one)) break;
  }
}

async function leftOverOf(rig: Rig, { saleId }: Goods): Promise<number> {
  const [row] = await rig.sql<{ left_over: string }>(
    "SELECT quantity - admitted AS left_over FROM {seckill}.sales WHERE id = ?",
    [saleId],
  );
  return Number(row?.left_over ?? 0);
}

async function brokenInvariants(rig: Rig): Promise<readonly string[]> {
  let last: readonly string[] = [];
  await eventually(
    async () => {
      const found = await violations(rig.source, { schemas: DATABASE_SCHEMAS, times: AT_ONCE });
      last = found.map(
        (one) => `${one.name}: ${String(one.violations)} (${one.offending.slice(0, 3).join(", ")})`,
      );
      return last.length === 0;
    },
    { timeoutMs: HOLDS_TIMEOUT_MS, what: "every invariant holds", intervalMs: POLL_MS },
  ).catch((error: unknown) => {
    if (last.length === 0) last = [String(error)];
  });
  return last;
}

async function lostOrders(rig: Rig, { orders }: Witness): Promise<readonly string[]> {
  const owners = new Map<string, string>();
  for (const ids of slices([...orders.keys()])) {
    const rows = await rig.sql<{ id: string; user_id: string }>(
      "SELECT id, user_id FROM {order}.orders WHERE id IN (?) AND status NOT IN ('placing', 'failed')",
      [ids],
    );
    for (const row of rows) owners.set(row.id, row.user_id);
  }
  return [...orders.values()]
    .filter(({ orderId, userId }) => owners.get(orderId) !== userId)
    .map(({ orderId, isPromise }) => `${isPromise ? "promise" : "order"} ${orderId} is lost`);
}

async function lostPayments(rig: Rig, { payments }: Witness): Promise<readonly string[]> {
  const kept = new Set<string>();
  for (const ids of slices([...payments.keys()])) {
    const rows = await rig.sql<{ id: string }>(
      "SELECT id FROM {payment}.payments WHERE id IN (?) AND captured_at IS NOT NULL",
      [ids],
    );
    for (const row of rows) kept.add(row.id);
  }
  return [...payments.keys()].filter((id) => !kept.has(id)).map((id) => `payment ${id} is lost`);
}

/** Units of the sale and of the scarce goods beyond what there was. */
async function oversoldUnits(rig: Rig, { saleId, scarceSku }: Goods): Promise<number> {
  const [row] = await rig.sql<{ of_sale: string; of_stock: string }>(
    `SELECT
       GREATEST(0, (SELECT COUNT(*) FROM {seckill}.admissions WHERE sale_id = ? AND live = 1) -
                   (SELECT quantity FROM {seckill}.sales WHERE id = ?)) AS of_sale,
       GREATEST(0, (SELECT COALESCE(SUM(i.quantity), 0) FROM {order}.order_items i
                      JOIN {order}.orders o ON o.id = i.order_id
                     WHERE i.sku_id = ? AND o.status IN ('pending_payment', 'closing', 'paid', 'shipped', 'completed')) -
                   (SELECT COALESCE(SUM(available_delta), 0) FROM {inventory}.stock_movements
                     WHERE sku_id = ? AND kind = 'receipt')) AS of_stock`,
    [saleId, saleId, scarceSku, scarceSku],
  );
  return Number(row?.of_sale ?? 0) + Number(row?.of_stock ?? 0);
}

/** Every customer wanted one order, whatever he had to repeat. */
async function doubledOrders(rig: Rig, { customers }: Witness): Promise<number> {
  let doubled = 0;
  for (const ids of slices(customers)) {
    const rows = await rig.sql(
      `SELECT user_id FROM {order}.orders WHERE user_id IN (?) AND status <> 'failed'
       GROUP BY user_id HAVING SUM(sale_id IS NULL) > 1 OR
         SUM(sale_id IS NOT NULL AND status <> 'cancelled') > 1`,
      [ids],
    );
    doubled += rows.length;
  }
  return doubled;
}

function slices<T>(all: readonly T[]): readonly (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let from = 0; from < all.length; from += IDS_PER_QUERY_MAX) {
    parts.push(all.slice(from, from + IDS_PER_QUERY_MAX));
  }
  return parts;
}
