// Flash sales on a node of a test: a sale that is open, buyers, and what came of them.
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import type { ServiceUnit } from "../../config/roles.ts";
import { sql } from "../../mixins/database/database.ts";
import type { ActionParams, ActionResult } from "../../services/contracts/actions.ts";
import type { Sale, SaleAudit } from "../../services/contracts/seckill.ts";
import { call } from "../../services/contracts/actions.ts";
import { errorDetails, errorSlug } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import { findSale } from "../../services/seckill/sale.repository.ts";
import type { TestDatabase } from "./database.ts";
import { eventually } from "./eventually.ts";
import { ADMIN, newCustomer, type ShopNode, type ShopUser, TRADE_UNITS } from "./order-shop.ts";

export const SALE_UNITS: readonly ServiceUnit[] = [...TRADE_UNITS, "seckill", "seckill-worker"];
export const SALE_SCHEMAS = [
  "user",
  "product",
  "inventory",
  "order",
  "payment",
  "seckill",
] as const;
const QUIESCE_MS = 15_000;
const HOUR_MS = 3_600_000;
const STOCK = 1_000;

export type NewSale = Partial<ActionParams<"seckill.createSale">> & { readonly stock?: number };

export async function draftSale(shop: ShopNode, options: NewSale = {}): Promise<Sale> {
  const { stock = STOCK, ...changes } = options;
  const now = Date.now();
  return await shop.as(ADMIN, "seckill.createSale", {
    sku_id: changes.sku_id ?? (await shop.sell(stock)),
    price: 99,
    quantity: 10,
    start_at: new Date(now - 1_000).toISOString(),
    end_at: new Date(now + HOUR_MS).toISOString(),
    ...changes,
  });
}

export async function openSale(shop: ShopNode, options: NewSale = {}): Promise<Sale> {
  const { id } = await draftSale(shop, options);
  return await shop.as(ADMIN, "seckill.publish", { id });
}

export interface Bought {
  readonly user: ShopUser;
  /** What was answered: queued, waiting, or the slug of the refusal. */
  readonly answer: string;
  readonly orderId: string | undefined;
}

export async function buyAs(shop: ShopNode, saleId: string, user: ShopUser): Promise<Bought> {
  try {
    const answer = await shop.as(user, "seckill.buy", { id: saleId });
    return { user, answer: answer.status, orderId: answer.order_id };
  } catch (error) {
    const details = errorDetails(error) as { order_id?: string } | undefined;
    return { user, answer: errorSlug(error) ?? String(error), orderId: details?.order_id };
  }
}

/** Many buyers at once through the internal action, as a gateway batches them. */
export async function admitAll(
  shop: ShopNode,
  saleId: string,
  users: readonly ShopUser[],
): Promise<ActionResult<"seckill.admit">["items"]> {
  const { items } = await call(shop.node.broker, "seckill.admit", {
    sale_id: saleId,
    candidates: users.map(({ id }) => ({ user_id: id, request_id: randomUUID() })),
  });
  return items;
}

export function customers(count: number): ShopUser[] {
  return Array.from({ length: count }, () => newCustomer());
}

export function countBy(bought: readonly Bought[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { answer } of bought) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

/** Waits until every admission has its order, and answers the audit. */
export async function whenQuiet(shop: ShopNode, saleId: string): Promise<SaleAudit> {
  return await eventually(
    async () => {
      const audit = await shop.as(ADMIN, "seckill.audit", { id: saleId });
      return audit.orders["queued"] === undefined ? audit : undefined;
    },
    { timeoutMs: QUIESCE_MS, what: "every admission has its order" },
  );
}

/** Rows of the sale service, for tests that look behind the curtain. */
export async function saleRows<Row extends object>(
  schemas: TestDatabase,
  text: string,
  params: readonly unknown[] = [],
): Promise<Row[]> {
  return await schemas.database("seckill").rows<Row>({ name: "test.read", sql: text }, params);
}

/** Loads the sale's gate as it is now and hands the sale to it. */
export async function loadGate(
  shop: ShopNode,
  schemas: TestDatabase,
  saleId: string,
): Promise<void> {
  const database = schemas.database("seckill");
  const namespace = schemas.settings.NAMESPACE;
  const gate = createGate({ redis: shop.node.redis(), namespace, clock: systemClock });
  await database.run(
    sql(
      "test.load",
      "UPDATE sales SET mode = 'loading', epoch = epoch + 1 WHERE id = ? AND mode = 'db'",
    ),
    [saleId],
  );
  const sale = must(await findSale(database, saleId), "the sale");
  const { epoch, quantity: units, startsAt, endsAt } = sale;
  const rows = await saleRows<{ user_id: string; order_id: string }>(
    schemas,
    "SELECT user_id, order_id FROM admissions WHERE sale_id = ? AND live = 1 LIMIT 500",
    [saleId],
  );
  const holders = [rows.map(({ user_id, order_id }) => ({ userId: user_id, orderId: order_id }))];
  const [startsAtMs, endsAtMs] = [startsAt.getTime(), endsAt.getTime()];
  const load = { saleId, epoch, units, startsAtMs, endsAtMs, holders: Readable.from(holders) };
  await gate.load(load);
  await database.run(
    sql(
      "test.loaded",
      "UPDATE sales SET mode = 'redis', mode_since = NOW(3) WHERE id = ? AND epoch = ?",
    ),
    [saleId, epoch],
  );
}
