// Nodes of one platform on real servers, started as the product starts them, and what order tests
// ask of them: sell a SKU, place an order, look at it and at the stock.
import { randomBytes, randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { loadSettings } from "../../config/load.ts";
import type { ServiceUnit } from "../../config/roles.ts";
import type { Settings } from "../../config/schema.ts";
import type { CallHeaders, CallMeta } from "../../mixins/service.ts";
import {
  type ActionName,
  type ActionParams,
  type ActionResult,
  call,
} from "../../services/contracts/actions.ts";
import type { Role } from "../../services/contracts/contract.ts";
import type { StockLevel } from "../../services/contracts/inventory.ts";
import type { Order } from "../../services/contracts/order.ts";
import type { Payment } from "../../services/contracts/payment.ts";
import { must } from "../../services/kernel/assert.ts";
import type { Failpoint } from "../../services/kernel/failpoint.ts";
import type { PlatformNode } from "../../services/node.ts";
import { runNode } from "../../services/run-node.ts";
import type { TestDatabase } from "./database.ts";
import { testServers } from "./servers.ts";

const SECRET = randomBytes(32).toString("hex");
const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString("base64")}`;

export interface ShopUser {
  readonly id: string;
  readonly role: Role;
}

export const ADMIN: ShopUser = { id: "1", role: "admin" };

/** As large as real ids: a floating-point number does not tell neighbours apart. */
let lastUser = 8_000_000_000_000_000_000n;

export function newCustomer(): ShopUser {
  lastUser += 1n;
  return { id: String(lastUser), role: "customer" };
}

export interface ShopNode {
  readonly node: PlatformNode;
  /** Calls an action as this user, as the gateway would. */
  as<Name extends ActionName>(
    user: ShopUser,
    name: Name,
    params: ActionParams<Name>,
    headers?: CallHeaders,
  ): Promise<ActionResult<Name>>;
  /** A listed product with one SKU and this much stock. Returns the SKU's id. */
  sell(stock: number, price?: number): Promise<string>;
  place(user: ShopUser, items: ActionParams<"order.place">["items"], key?: string): Promise<Order>;
  stockOf(skuId: string): Promise<StockLevel>;
  /** Delivers the provider's signed word that this payment succeeded. */
  capture(payment: Payment, webhookId?: string): Promise<void>;
  stop(): Promise<void>;
}

export interface ShopNodeOptions {
  readonly units: readonly ServiceUnit[];
  readonly failpoint?: Failpoint;
  readonly settings?: Partial<Record<keyof Settings, string>>;
}

export async function shopNode(
  schemas: TestDatabase,
  { units, failpoint, settings: changes = {} }: ShopNodeOptions,
): Promise<ShopNode> {
  const servers = await testServers();
  const settings = loadSettings(
    {},
    {
      NAMESPACE: schemas.settings.NAMESPACE,
      MYSQL_URL: schemas.settings.MYSQL_URL,
      DATABASE_SECRET: schemas.settings.DATABASE_SECRET,
      REDIS_URL: servers.redisUrl,
      NATS_URL: servers.natsUrl,
      JWT_SECRET: SECRET,
      PAYMENT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ADMIN_PASSWORD: SECRET,
      LOG_LEVEL: process.env["TEST_LOG_LEVEL"] ?? "fatal",
      SERVICES: units.join(","),
      ...changes,
    },
  );
  const running = await runNode({
    settings,
    ...(failpoint === undefined ? {} : { failpoint }),
  });
  const { node } = running;
  const { broker } = node;

  async function as<Name extends ActionName>(
    user: ShopUser,
    name: Name,
    params: ActionParams<Name>,
    headers: CallHeaders = {},
  ): Promise<ActionResult<Name>> {
    const token = node.tokens.sign({ userId: user.id, role: user.role, familyId: "1" });
    const meta: CallMeta = { token };
    return await call(broker, name, params, { meta, headers });
  }

  return {
    node,
    stop: () => running.stop(),
    as,
    async sell(stock, price = 500) {
      const { product, opening_stock: skus } = await as(ADMIN, "product.create", {
        name: "Cup",
        price,
        stock,
      });
      await call(broker, "inventory.open", { skus });
      return must(product.skus[0], "a default SKU").id;
    },
    place: (user, items, key = randomUUID()) =>
      as(user, "order.place", { items }, placeHeaders(key, JSON.stringify(items))),
    async capture(payment, webhookId = randomUUID()) {
      const body = JSON.stringify({
        payment_id: payment.id,
        status: "succeeded",
        amount: payment.amount,
        provider_ref: `ref-${payment.id}`,
      });
      const sentAt = new Date();
      const signature = new Webhook(WEBHOOK_SECRET).sign(webhookId, sentAt, body);
      const headers = {
        "webhook-id": webhookId,
        "webhook-timestamp": String(Math.floor(sentAt.getTime() / 1_000)),
        "webhook-signature": signature,
      };
      const rawBody = Buffer.from(body).toString("base64");
      const params = { payment_id: payment.id, headers, raw_body: rawBody };
      await call(broker, "payment.receiveCallback", params);
    },
    stockOf: (skuId) => as(ADMIN, "inventory.get", { sku_id: skuId }),
  };
}

/** What the gateway makes of an Idempotency-Key header and a body. */
export function placeHeaders(key: string, body: string): CallHeaders {
  return {
    idempotency_route: "POST /orders",
    idempotency_key: key,
    idempotency_fingerprint: Buffer.from(body).toString("hex").padEnd(64, "0").slice(-64),
  };
}

/** Every service an order meets, and its background work. */
export const TRADE_UNITS: readonly ServiceUnit[] = [
  "user",
  "product",
  "product-worker",
  "inventory",
  "inventory-worker",
  "order",
  "order-worker",
  "payment",
  "payment-worker",
];
