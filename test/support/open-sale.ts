// Flash sales of a running shop, made over its public API.
import assert from "node:assert/strict";
import type { Sale } from "../../services/contracts/seckill.ts";
import { eventually } from "./eventually.ts";
import type { Answer, HttpClient } from "./http-client.ts";
import { API, type Shop } from "./shop.ts";

export const SALES = `${API}/seckill/sales`;
const HOUR_MS = 3_600_000;
const KNOWN_TIMEOUT_MS = 10_000;

export interface Bought {
  readonly order_id?: string;
  readonly ticket?: string;
  readonly status: string;
}

export interface SaleOptions {
  readonly quantity?: number;
  readonly startsInMs?: number;
  readonly endsInMs?: number;
  readonly isPassRequired?: boolean;
}

/** A published sale of a new product. */
export async function openSale(shop: Shop, options: SaleOptions = {}): Promise<Sale> {
  const { quantity = 10, startsInMs = -1_000, endsInMs = HOUR_MS, isPassRequired } = options;
  const { skuId } = await shop.product(quantity);
  const draft = await shop.admin.create<Sale>(SALES, {
    sku_id: skuId,
    price: 100,
    quantity,
    start_at: new Date(Date.now() + startsInMs).toISOString(),
    end_at: new Date(Date.now() + endsInMs).toISOString(),
    title: `Sale of ${quantity}`,
    ...(isPassRequired === undefined ? {} : { pass_required: isPassRequired }),
  });
  assert.equal(draft.status, 201, JSON.stringify(draft.body));
  const published = await shop.admin.post<Sale>(`${SALES}/${draft.data.id}/publish`);
  assert.equal(published.status, 200, JSON.stringify(published.body));
  return published.data;
}

export function buy(
  buyer: HttpClient,
  saleId: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<Bought>> {
  return buyer.send<Bought>("POST", `${SALES}/${saleId}/orders`, { headers });
}

/** Resolves when the gateway answers for this sale in its fast lane, which sends no traces on. */
export async function whenKnown(shop: Shop, saleId: string): Promise<void> {
  await eventually(
    async () => (await buy(shop.visitor(), saleId)).headers["ratelimit-limit"] === undefined,
    { timeoutMs: KNOWN_TIMEOUT_MS, what: "the fast lane knows the sale", intervalMs: 50 },
  );
}
