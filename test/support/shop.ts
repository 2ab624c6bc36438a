// The running shop that the journeys share: started once per test process as an operator starts it,
// with a payment window short enough to be waited for, and ended with the process.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { dataFolderAt } from "../../scripts/launcher/data-folder.ts";
import { readPlatformEnv } from "../../scripts/launcher/run-state.ts";
import type { ResultOf } from "../../services/contracts/contract.ts";
import type { auditorContract } from "../../services/contracts/auditor.ts";
import type { StockLevel } from "../../services/contracts/inventory.ts";
import type { Order } from "../../services/contracts/order.ts";
import type { Payment } from "../../services/contracts/payment.ts";
import type { Product } from "../../services/contracts/product.ts";
import type { TokenPair } from "../../services/contracts/user.ts";
import { eventually } from "./eventually.ts";
import { ContractCheck } from "./contract-check.ts";
import { type Answer, HttpClient, observeAnswers } from "./http-client.ts";
import { LaunchedPlatform, SOURCE_DIR } from "./launched-platform.ts";
import { tempFolder } from "./temp-folder.ts";

const run = promisify(execFile);

export const API = "/api/v1";
/** Long enough to pay in on a busy machine, short enough to wait for. */
export const PAYMENT_WINDOW_MS = 8_000;
/** How long a status may take to arrive through outbox, stream and inbox on a busy machine. */
export const SETTLE_TIMEOUT_MS = 20_000;
/** Slow enough for the limit of 20 requests a second that every user has. */
const SETTLE = { timeoutMs: SETTLE_TIMEOUT_MS, intervalMs: 150 } as const;
export const ADMIN_EMAIL = "admin@shop.test";
export const ADMIN_PASSWORD = "an admin of the tests";
/** Of every customer that a test registers. */
export const CUSTOMER_PASSWORD = "correct horse battery staple";
export const WEBHOOK_SECRET = `whsec_${Buffer.from("a webhook key that only these tests use!").toString("base64")}`;
/** Signs the access tokens; known to the tests that forge some. */
export const TOKEN_KEY = "a signing key of the tests 7c1f90d2b4";
/** A browser may call from here, and from nowhere else. */
export const FRONT_ORIGIN = "https://front.example.test";
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export type ProductView = Omit<Product, "skus"> & {
  skus: (Product["skus"][number] & { available: number | null })[];
};
type Invariants = ResultOf<(typeof auditorContract)["invariants"]>;

export interface NewProduct {
  readonly product: ProductView;
  readonly skuId: string;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ShopParts {
  readonly url: string;
  readonly admin: HttpClient;
  readonly platform?: LaunchedPlatform;
  readonly dataDir?: string;
}

export class Shop {
  readonly url: string;
  readonly admin: HttpClient;
  readonly #platform: LaunchedPlatform | undefined;
  readonly #dataDir: string;

  constructor(parts: ShopParts) {
    this.url = parts.url;
    this.admin = parts.admin;
    this.#platform = parts.platform;
    this.#dataDir = parts.dataDir ?? "";
  }

  /** How it was started; a cluster of single nodes has none. */
  get platform(): LaunchedPlatform {
    assert.ok(this.#platform !== undefined);
    return this.#platform;
  }

  /** The environment its nodes run in. */
  get environment(): Readonly<Record<string, string>> {
    return readPlatformEnv(dataFolderAt(this.#dataDir));
  }

  /** Where its nodes log. */
  get logFolder(): string {
    return dataFolderAt(this.#dataDir).log;
  }

  /** A client without a token. */
  visitor(): HttpClient {
    return new HttpClient(this.url);
  }

  /** Registers somebody and signs him in. */
  async customer(): Promise<HttpClient & { readonly email: string; readonly pair: TokenPair }> {
    const email = `${randomUUID()}@example.test`;
    const password = CUSTOMER_PASSWORD;
    const client = new HttpClient(this.url);
    assert.equal((await client.post(`${API}/auth/register`, { email, password })).status, 201);
    const login = await client.post<TokenPair>(`${API}/auth/login`, { email, password });
    assert.equal(login.status, 200);
    client.signIn(login.data.access_token);
    return Object.assign(client, { email, pair: login.data });
  }

  /** Customers who never registered, for load: tokens made by `npm run tokens`. */
  async madeUpCustomers(count: number): Promise<HttpClient[]> {
    const args = ["--count", String(count)];
    const { stdout } = await this.command("scripts/tokens.ts", args);
    return stdout
      .trim()
      .split("\n")
      .map((token) => new HttpClient(this.url, token));
  }

  /** Runs one of the product's commands where this shop is. Resolves whatever its exit code is. */
  async command(script: string, args: readonly string[]): Promise<CommandResult> {
    const ran = run(process.execPath, [script, ...args], {
      cwd: SOURCE_DIR,
      env: { ...process.env, DATA_DIR: this.#dataDir },
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return await ran.then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: unknown) => {
        const { code, stdout, stderr } = error as CommandResult;
        assert.equal(typeof code, "number", String(error));
        return { code, stdout, stderr };
      },
    );
  }

  async product(stock: number, price = 1_999): Promise<NewProduct> {
    const body = { name: `Thing ${randomUUID().slice(0, 8)}`, price, stock };
    const { status, data } = await this.admin.post<ProductView>(`${API}/products`, body);
    assert.equal(status, 201);
    return { product: data, skuId: data.skus[0]?.id ?? "" };
  }

  async stock(skuId: string): Promise<StockLevel> {
    const { status, data } = await this.admin.get<StockLevel>(`${API}/inventory/${skuId}`);
    assert.equal(status, 200);
    assert.equal(data.on_hand, data.available + data.reserved + data.allotted);
    return data;
  }

  order(buyer: HttpClient, skuId: string, quantity = 1): Promise<Answer<Order>> {
    return buyer.create<Order>(`${API}/orders`, { items: [{ sku_id: skuId, quantity }] });
  }

  /** An order that was placed; fails when it was refused. */
  async placed(buyer: HttpClient, skuId: string, quantity = 1): Promise<Order> {
    const { status, data, body } = await this.order(buyer, skuId, quantity);
    assert.equal(status, 201, JSON.stringify(body));
    return data;
  }

  async openPayment(buyer: HttpClient, orderId: string): Promise<Payment> {
    const { status, data, body } = await buyer.post<Payment>(`${API}/orders/${orderId}/pay`);
    assert.equal(status, 201, JSON.stringify(body));
    return data;
  }

  /** Lets the mock provider report a success and waits until the order is paid. */
  async paid(buyer: HttpClient, orderId: string): Promise<Payment> {
    const payment = await this.openPayment(buyer, orderId);
    const { status } = await buyer.post(`${API}/payments/${payment.id}/simulate`, {
      outcome: "succeeded",
    });
    assert.equal(status, 202);
    await this.whenOrder(buyer, orderId, "paid");
    return payment;
  }

  whenOrder(buyer: HttpClient, orderId: string, status: Order["status"]): Promise<Order> {
    return eventually(
      async () => {
        const { data } = await buyer.get<Order>(`${API}/orders/${orderId}`);
        return data.status === status ? data : undefined;
      },
      { ...SETTLE, what: `order ${orderId} is ${status}` },
    );
  }

  whenPayment(buyer: HttpClient, paymentId: string, status: Payment["status"]): Promise<Payment> {
    return eventually(
      async () => {
        const { data } = await buyer.get<Payment>(`${API}/payments/${paymentId}`);
        return data.status === status ? data : undefined;
      },
      { ...SETTLE, what: `payment ${paymentId} is ${status}` },
    );
  }

  whenStock(skuId: string, expected: Partial<StockLevel>): Promise<StockLevel> {
    return eventually(
      async () => {
        const stock = await this.stock(skuId);
        const isThere = Object.entries(expected).every(
          ([field, value]) => stock[field as keyof StockLevel] === value,
        );
        return isThere ? stock : undefined;
      },
      { ...SETTLE, what: `stock of ${skuId} is ${JSON.stringify(expected)}` },
    );
  }

  /** Sends a callback as a provider would, signed unless told otherwise. */
  callback(payment: PaymentFacts, changes: CallbackChanges = {}): Promise<Answer> {
    const path = `${API}/payments/${changes.path ?? payment.id}/callbacks`;
    return this.visitor().send("POST", path, signedCallback(payment, changes));
  }

  /** Waits until every invariant holds, and fails with what does not. */
  async expectInvariants(): Promise<void> {
    let broken: Invariants["items"] = [];
    await eventually(
      async () => {
        const { status, data, body } = await this.admin.get<Invariants>(`${API}/admin/invariants`);
        assert.equal(status, 200, JSON.stringify(body));
        assert.ok(data.items.length > 0);
        broken = data.items.filter((one) => one.violations > 0);
        return data.holds;
      },
      { ...SETTLE, intervalMs: 500, what: "every invariant holds" },
    ).catch((error: unknown) => {
      throw new Error(`broken: ${JSON.stringify(broken, null, 1)}`, { cause: error });
    });
  }
}

type PaymentFacts = Pick<Payment, "id" | "amount">;

/** Body and headers of a provider's callback. */
export function signedCallback(
  payment: PaymentFacts,
  changes: CallbackChanges = {},
): { readonly rawBody: string; readonly headers: Readonly<Record<string, string>> } {
  const id = changes.webhookId ?? randomUUID();
  const timestamp = String(Math.floor(Date.now() / 1_000) + (changes.ageS ?? 0));
  const rawBody = JSON.stringify({
    payment_id: payment.id,
    status: changes.status ?? "succeeded",
    amount: changes.amount ?? payment.amount,
    provider_ref: changes.providerRef ?? `ref-${payment.id}`,
  });
  const key = Buffer.from((changes.secret ?? WEBHOOK_SECRET).slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${rawBody}`);
  return {
    rawBody: changes.tamper === true ? rawBody.replace("succeeded", "succeeded ") : rawBody,
    headers: {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${signature.digest("base64")}`,
      ...changes.headers,
    },
  };
}

export interface CallbackChanges {
  readonly webhookId?: string;
  readonly ageS?: number;
  readonly status?: "succeeded" | "failed";
  readonly amount?: number;
  readonly providerRef?: string;
  readonly secret?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Changes a byte after signing. */
  readonly tamper?: boolean;
}

let shared: Promise<Shop> | undefined;

/** The shop all journeys of this test process share. */
export function openShop(): Promise<Shop> {
  return (shared ??= startChecked());
}

/** From here on every answer that a test gets is held against the document of this shop. */
async function startChecked(): Promise<Shop> {
  const shop = await startShop();
  contract = await ContractCheck.of(shop.url);
  observeAnswers(contract.check);
  return shop;
}

let contract: ContractCheck | undefined;

/** What the answers so far were checked against. */
export function contractCheck(): ContractCheck {
  assert.ok(contract !== undefined, "no shared shop runs");
  return contract;
}

export interface ShopOptions {
  readonly environment?: Readonly<Record<string, string>>;
}

/** A shop of the caller's own, for journeys that kill parts of it. */
export async function startShop({ environment = {} }: ShopOptions = {}): Promise<Shop> {
  const dataDir = tempFolder();
  const platform = new LaunchedPlatform({
    dataDir,
    environment: {
      ADMIN_EMAIL,
      ADMIN_PASSWORD,
      PAYMENT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      JWT_SECRET: TOKEN_KEY,
      CORS_ORIGINS: FRONT_ORIGIN,
      ORDER_PAYMENT_WINDOW_MS: String(PAYMENT_WINDOW_MS),
      TRUSTED_PROXIES: "127.0.0.1,::1",
      LAUNCHER_DEMO_DATA: "0",
      ...environment,
    },
  });
  const url = (await platform.open()).replace("localhost", "127.0.0.1");
  const admin = await signedInAdmin(url);
  return new Shop({ url, platform, dataDir, admin });
}

/** A client with the admin's token. */
export async function signedInAdmin(url: string): Promise<HttpClient> {
  const admin = new HttpClient(url);
  const login = await admin.post<TokenPair>(`${API}/auth/login`, {
    email: ADMIN_EMAIL,
    password: ADMIN_PASSWORD,
  });
  assert.equal(login.status, 200, JSON.stringify(login.body));
  return admin.signIn(login.data.access_token);
}
