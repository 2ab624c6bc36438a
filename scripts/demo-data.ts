// Fills an empty shop with a catalogue and customers, over its own public API. A shop that sells
// anything else is left alone; one that was filled half is completed.
// Settings: those of the platform, and DEMO_PASSWORD for the customers.
import { loadSettings } from "../config/load.ts";
import type { Settings } from "../config/schema.ts";
import {
  DEMO_ADDRESS,
  DEMO_CATEGORIES,
  DEMO_CUSTOMERS,
  DEMO_PRODUCTS,
  type DemoProduct,
} from "./demo/catalogue.ts";
import { createShopClient, type ShopAnswer, type ShopClient } from "./demo/shop-client.ts";

const REQUESTS_AT_ONCE = 6;
const PAGE_SIZE = 100;
const EVERY_ADDRESS = new Set(["0.0.0.0", "::"]);

interface ListedProduct {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

interface Items<T> {
  readonly items: readonly T[];
  readonly total: number;
}

async function main(): Promise<string> {
  const settings = loadSettings();
  const shop = createShopClient(urlOf(settings), settings.RATE_LIMIT_PER_USER_RPS);
  const listed = expect(await shop.request<Items<ListedProduct>>("GET", "/products?page_size=1"));
  if (listed.total >= DEMO_PRODUCTS.length) return `kept, ${listed.total} products`;

  const token = await login(shop, settings.ADMIN_EMAIL, settings.ADMIN_PASSWORD);
  const path = `/products?page_size=${PAGE_SIZE}`;
  const known = expect(await shop.request<Items<ListedProduct>>("GET", path, { token }));
  const names = new Set(DEMO_PRODUCTS.map((product) => product.name));
  const isOthers = known.items.some((product) => !names.has(product.name));
  if (isOthers || known.total >= names.size) return `kept, ${known.total} products`;

  await Promise.all([
    fillCatalogue(shop, token, new Map(known.items.map((product) => [product.name, product]))),
    ...DEMO_CUSTOMERS.map((customer) => addCustomer(shop, customer, demoPassword())),
  ]);
  return `${DEMO_PRODUCTS.length} products, ${DEMO_CUSTOMERS.length} customers`;
}

function urlOf({ HOST, PORT }: Settings): string {
  return `http://${EVERY_ADDRESS.has(HOST) ? "127.0.0.1" : HOST}:${PORT}`;
}

function demoPassword(): string {
  const password = process.env["DEMO_PASSWORD"] ?? "";
  if (password === "") throw new Error("DEMO_PASSWORD is missing");
  return password;
}

async function fillCatalogue(
  shop: ShopClient,
  token: string,
  known: ReadonlyMap<string, ListedProduct>,
): Promise<void> {
  const categories = await addCategories(shop, token);
  await inParallel(DEMO_PRODUCTS, async (product) => {
    const existing = known.get(product.name);
    const { id } = existing ?? (await addProduct(shop, token, categories, product));
    if (existing?.status !== "listed") {
      expect(await shop.request("POST", `/products/${id}/list`, { token }));
    }
  });
}

/** Ids of the demo categories by name. */
async function addCategories(shop: ShopClient, token: string): Promise<Map<string, string>> {
  const { items } = expect(
    await shop.request<Items<{ id: string; name: string }>>("GET", "/categories"),
  );
  const ids = new Map(items.map(({ id, name }) => [name, id]));
  const missing = DEMO_CATEGORIES.filter((name) => !ids.has(name));
  await inParallel(missing, async (name) => {
    const position = DEMO_CATEGORIES.indexOf(name);
    const made = await shop.request<{ id: string }>("POST", "/categories", {
      body: { name, position },
      key: `demo-category-${encodeURIComponent(name)}`,
      token,
    });
    ids.set(name, expect(made).id);
  });
  return ids;
}

async function addProduct(
  shop: ShopClient,
  token: string,
  categories: ReadonlyMap<string, string>,
  { name, description, category, skus }: DemoProduct,
): Promise<{ id: string }> {
  const price = Math.min(...skus.map((sku) => sku.price));
  const made = await shop.request<{ id: string }>("POST", "/products", {
    body: { name, description, category_id: categories.get(category), price, skus },
    key: `demo-product-${encodeURIComponent(name)}`,
    token,
  });
  return expect(made);
}

async function addCustomer(
  shop: ShopClient,
  { email, nickname }: (typeof DEMO_CUSTOMERS)[number],
  password: string,
): Promise<void> {
  const made = await shop.request("POST", "/auth/register", {
    body: { email, password, nickname },
  });
  if (made.error === "USER_EMAIL_TAKEN") return;
  expect(made);
  const token = await login(shop, email, password);
  const body = { ...DEMO_ADDRESS, recipient: nickname };
  expect(await shop.request("POST", "/users/me/addresses", { body, token }));
}

async function login(shop: ShopClient, email: string, password: string): Promise<string> {
  const body = { email, password };
  const pair = await shop.request<{ access_token: string }>("POST", "/auth/login", { body });
  return expect(pair).access_token;
}

function expect<T>(answer: ShopAnswer<T>): T {
  if (answer.error !== undefined) throw new Error(`the shop answered ${answer.error}`);
  return answer.data;
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, worker));
}

try {
  console.log(await main());
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
