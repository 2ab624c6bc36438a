// Flash sales on a node of a test: a sale that is open, buyers, and what came of them.
import { randomUUID } from "node:crypto";
import type { ServiceUnit } from "../../config/roles.ts";
import type { ActionParams, ActionResult } from "../../services/contracts/actions.ts";
import type { Sale, SaleAudit } from "../../services/contracts/seckill.ts";
import { call } from "../../services/contracts/actions.ts";
import { errorDetails, errorSlug } from "../../services/contracts/errors.ts";
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
const ASK_AGAIN_MS = 100;
const OUTCOME_WAIT_MS = 500;

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

/** Told to wait or to come back: nothing was decided. */
export function isUndecided({ answer }: Bought): boolean {
  return answer === "waiting" || answer === "OVERLOADED";
}

/** Many patient buyers at once: who is told to come back does so until he has his answer. */
export async function buyPatiently(
  shop: ShopNode,
  saleId: string,
  users: readonly ShopUser[],
): Promise<readonly Bought[]> {
  return await Promise.all(
    users.map((user) =>
      eventually(
        async () => {
          const bought = await buyAs(shop, saleId, user);
          return isUndecided(bought) ? undefined : bought;
        },
        { timeoutMs: QUIESCE_MS, what: "the buyer has his answer", intervalMs: ASK_AGAIN_MS },
      ),
    ),
  );
}

/** Many buyers at once through the internal action, as a gateway batches them. Resolves when what became
 * of every winner is known. */
export async function admitAll(
  shop: ShopNode,
  saleId: string,
  users: readonly ShopUser[],
): Promise<ActionResult<"seckill.admit">["items"]> {
  const { items } = await call(shop.node.broker, "seckill.admit", {
    sale_id: saleId,
    candidates: users.map(({ id }) => ({ user_id: id, request_id: randomUUID() })),
  });
  const pending = items.flatMap(({ outcome, order_id: id }) =>
    outcome === "pending" && id !== null ? id : [],
  );
  await eventually(async () => await areDecided(shop, saleId, pending), {
    timeoutMs: QUIESCE_MS,
    what: "what became of every winner is known",
  });
  return items;
}

async function areDecided(
  shop: ShopNode,
  saleId: string,
  orderIds: readonly string[],
): Promise<boolean> {
  if (orderIds.length === 0) return true;
  const params = { sale_id: saleId, order_ids: [...orderIds], wait_ms: OUTCOME_WAIT_MS };
  const { items } = await call(shop.node.broker, "seckill.outcome", params);
  return items.every(({ outcome }) => outcome !== "unknown");
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
