// A dry run: a hundred made-up customers buy in a sale of their own with half as many units, over the
// whole way from the gateway to the order. Afterwards the orders are cancelled, the sale is closed and
// its product is off the shelf: nothing of it is left to be bought or paid.
import { setTimeout as delay } from "node:timers/promises";
import type { Settings } from "../../config/schema.ts";
import type { Sale, SaleAudit } from "../../services/contracts/seckill.ts";
import { createCrowd } from "../demo/demo-sale.ts";
import { createShopClient } from "../demo/shop-client.ts";
import { type Check, type Finding, judge } from "./check.ts";
import type { ShopReader } from "./shop-reader.ts";

export const SHADOW_PURCHASES = 100;
const SHADOW_UNITS = 50;
const PRICE = 100;
const LASTS_MS = 10 * 60_000;
const SETTLE_TRIES_MAX = 150;
const SETTLE_INTERVAL_MS = 200;
const ANSWER_TRIES_MAX = 50;

interface ShadowParts {
  readonly url: string;
  readonly settings: Settings;
  readonly shop: ShopReader;
}

export function shadowCheck(parts: ShadowParts): Check {
  return { what: "dry run", look: () => runShadowSale(parts) };
}

async function runShadowSale(parts: ShadowParts): Promise<Finding[]> {
  const { shop } = parts;
  const { productId, sale } = await openShadowSale(shop);
  try {
    const startedAt = performance.now();
    const answers = await buyAll(parts, sale.id);
    const tookMs = Math.round(performance.now() - startedAt);
    const won = answers.filter((answer) => answer === "queued").length;
    const soldOut = answers.filter((answer) => answer === "SECKILL_SOLD_OUT").length;
    const audit = await whenSettled(shop, sale.id);
    const orders = audit.orders["pending_payment"] ?? 0;
    const isRight =
      won === SHADOW_UNITS && soldOut === SHADOW_PURCHASES - won && orders === won && audit.holds;
    const text =
      `${SHADOW_PURCHASES} purchases of ${SHADOW_UNITS} units in ${tookMs} ms: ${won} won, ` +
      `${soldOut} sold out, ${orders} orders, the audit ${audit.holds ? "holds" : "does not hold"}`;
    return [judge("dry run", isRight, text)];
  } finally {
    await cleanUp(parts, sale.id, productId);
  }
}

async function openShadowSale(shop: ShopReader): Promise<{ productId: string; sale: Sale }> {
  const product = await shop.post<{ id: string; skus: { id: string }[] }>("/products", {
    name: "Preflight drill",
    description: "Made for a dry run; off the shelf again in a moment.",
    price: PRICE,
    stock: SHADOW_UNITS,
  });
  await shop.post(`/products/${product.id}/list`);
  const nowMs = Date.now();
  const { id } = await shop.post<Sale>("/seckill/sales", {
    sku_id: product.skus[0]?.id,
    price: PRICE,
    quantity: SHADOW_UNITS,
    start_at: new Date(nowMs).toISOString(),
    end_at: new Date(nowMs + LASTS_MS).toISOString(),
    title: "Preflight drill",
  });
  return { productId: product.id, sale: await shop.post<Sale>(`/seckill/sales/${id}/publish`) };
}

/** What each buyer was told in the end; who is told to come back does so. */
async function buyAll({ url, settings }: ShadowParts, saleId: string): Promise<string[]> {
  const customers = crowdOf(settings, saleId);
  // No limits of its own: each buyer is somebody else.
  const client = createShopClient(url, 0);
  const path = `/seckill/sales/${saleId}/orders`;
  return await Promise.all(
    customers.map(async (token) => {
      for (let tries = 1; tries < ANSWER_TRIES_MAX; tries += 1) {
        const { error, data } = await client.request<{ status: string }>("POST", path, { token });
        const answer = error ?? data.status;
        if (answer === "SECKILL_ALREADY_PURCHASED") return "queued";
        if (!["waiting", "SECKILL_NOT_STARTED", "RATE_LIMITED"].includes(answer)) return answer;
        await delay(SETTLE_INTERVAL_MS);
      }
      return "no answer";
    }),
  );
}

/** Customers of this drill alone, told apart from those of other drills by the sale's id. */
function crowdOf(settings: Settings, saleId: string): string[] {
  const first = Number(BigInt(saleId) % 1_000_000_000n) * SHADOW_PURCHASES;
  const customerOf = createCrowd(settings.JWT_SECRET, first);
  return Array.from({ length: SHADOW_PURCHASES }, (_, index) => customerOf(index).token);
}

async function whenSettled(shop: ShopReader, saleId: string): Promise<SaleAudit> {
  for (let tries = 1; ; tries += 1) {
    const audit = await shop.get<SaleAudit>(`/seckill/sales/${saleId}/audit`);
    const isQueued = (audit.orders["queued"] ?? 0) > 0;
    if (!isQueued || tries >= SETTLE_TRIES_MAX) return audit;
    await delay(SETTLE_INTERVAL_MS);
  }
}

async function cleanUp(
  { url, settings, shop }: ShadowParts,
  saleId: string,
  productId: string,
): Promise<void> {
  const client = createShopClient(url, 0);
  const mine = `/seckill/sales/${saleId}/orders/mine`;
  await Promise.all(
    crowdOf(settings, saleId).map(async (token) => {
      const { data } = await client.request<{ order_id?: string }>("GET", mine, { token });
      if (data.order_id === undefined) return;
      await client.request("POST", `/orders/${data.order_id}/cancel`, { token });
    }),
  );
  await shop.post(`/seckill/sales/${saleId}/close`);
  await shop.post(`/products/${productId}/unlist`);
}
