// A sale for a demonstration, made by the shop's admin over the public API, and what the admin reads of
// it afterwards.
import { createAccessTokens } from "../../mixins/auth/tokens.ts";
import type { Settings } from "../../config/schema.ts";
import type { Sale, SaleAudit, SaleStrategy } from "../../services/contracts/seckill.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import type { Buyer } from "./buyers.ts";
import { createShopClient, type ShopAnswer, type ShopClient } from "./shop-client.ts";

const PRICE = 9_900;
const OPENS_AFTER_MS = 1_500;
const LASTS_MS = 15 * 60_000;
/** Made-up customers count up from here: far above every id a platform has made so far. */
const FIRST_CUSTOMER_ID = 9_100_000_000_000_000_000n;

export interface Invariant {
  readonly name: string;
  readonly violations: number | null;
}

export interface WantedSale {
  readonly units: number;
  readonly title: string;
  /** `gate` unless given. */
  readonly strategy?: SaleStrategy;
}

export interface Admin {
  /** A published sale that opens in a moment. */
  openSale(wanted: WantedSale): Promise<Sale>;
  sale(id: string): Promise<Sale>;
  close(id: string): Promise<Sale>;
  audit(id: string): Promise<SaleAudit>;
  brokenInvariants(): Promise<readonly Invariant[]>;
}

/** Errors: those of the shop, as sentences. */
export async function signInAdmin(url: string, settings: Settings): Promise<Admin> {
  const shop = createShopClient(url, settings.RATE_LIMIT_PER_USER_RPS);
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = settings;
  const login = await shop.request<{ access_token: string }>("POST", "/auth/login", {
    body: { email, password },
  });
  return adminOf(shop, expect(login).access_token);
}

function adminOf(shop: ShopClient, token: string): Admin {
  const get = async <T>(path: string): Promise<T> =>
    expect(await shop.request<T>("GET", path, { token }));
  const post = async <T>(path: string, body?: object): Promise<T> =>
    expect(await shop.request<T>("POST", path, { token, ...(body === undefined ? {} : { body }) }));
  return {
    async openSale({ units, title, strategy }) {
      const product = await post<{ id: string; skus: { id: string }[] }>("/products", {
        name: title,
        description: "Made for a demonstration of a flash sale.",
        price: PRICE * 2,
        stock: units,
      });
      await post(`/products/${product.id}/list`);
      const opensMs = Date.now() + OPENS_AFTER_MS;
      const { id } = await post<Sale>("/seckill/sales", {
        sku_id: product.skus[0]?.id,
        price: PRICE,
        quantity: units,
        per_user_limit: 1,
        start_at: new Date(opensMs).toISOString(),
        end_at: new Date(opensMs + LASTS_MS).toISOString(),
        title,
        ...(strategy === undefined ? {} : { strategy }),
      });
      return await post<Sale>(`/seckill/sales/${id}/publish`);
    },
    sale: (id) => get(`/seckill/sales/${id}`),
    close: (id) => post(`/seckill/sales/${id}/close`),
    audit: (id) => get(`/seckill/sales/${id}/audit`),
    async brokenInvariants() {
      const { items } = await get<{ items: Invariant[] }>("/admin/invariants");
      return items.filter(({ violations }) => violations !== 0);
    },
  };
}

function expect<T>({ error, data }: ShopAnswer<T>): T {
  if (error !== undefined) throw new Error(`The shop answered ${error} to its admin.`);
  return data;
}

/** @param index counts from 0, for one crowd; `first` keeps crowds apart. */
export function madeUpUserId(first: number, index: number): string {
  return String(FIRST_CUSTOMER_ID + BigInt(first + index));
}

/** People who never registered, as `npm run tokens` makes them, each with an address of his own. */
export function createCrowd(jwtSecret: string, first: number): (index: number) => Buyer {
  const tokens = createAccessTokens({ current: jwtSecret }, systemClock);
  return (index) => {
    const userId = madeUpUserId(first, index);
    return {
      token: tokens.sign({ userId, role: "customer", familyId: userId }),
      address: `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`,
    };
  };
}
