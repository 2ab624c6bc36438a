// For every operation of the API a request in which all is right but, perhaps, who sends it. What an
// operation uses up or ends is made anew for everybody who is let in.
import { randomUUID } from "node:crypto";
import type { Order } from "../../../services/contracts/order.ts";
import type { Sale } from "../../../services/contracts/seckill.ts";
import type { TokenPair } from "../../../services/contracts/user.ts";
import { ADDRESS } from "../address.ts";
import type { SendOptions } from "../http-client.ts";
import { API, CUSTOMER_PASSWORD, type NewProduct, type Shop, signedCallback } from "../shop.ts";
import { type Actor, ADMITTED, type Customer, promoted } from "./actors.ts";

/** No row of any table has this id. */
export const UNKNOWN_ID = "4611686018427387904";
const HOUR_MS = 3_600_000;

export interface Attempt extends Omit<SendOptions, "token"> {
  /** Below the API's prefix, with its query. */
  readonly path: string;
  /** Instead of the actor's own, where the operation would end his session. */
  readonly token?: string | undefined;
  readonly isStream?: boolean;
}

type Prepare = (scene: Scene, actor: Actor) => Attempt | Promise<Attempt>;

/** What all operations share: a customer with an address, a product, a category, a running sale. */
export interface Scene {
  readonly shop: Shop;
  readonly owner: Customer;
  readonly ownerId: string;
  readonly addressId: string;
  readonly categoryId: string;
  readonly product: NewProduct;
  readonly orderId: string;
  readonly paymentId: string;
  readonly saleId: string;
}

export async function setScene(shop: Shop, owner: Customer): Promise<Scene> {
  const { admin } = shop;
  const id = async (answer: Promise<{ data: { id: string } }>) => (await answer).data.id;
  const product = await shop.product(500);
  const saleId = await draftSale(shop, product.skuId);
  await admin.post(`${API}/seckill/sales/${saleId}/publish`);
  const orderId = (await shop.placed(owner, product.skuId)).id;
  return {
    shop,
    owner,
    product,
    saleId,
    orderId,
    paymentId: (await shop.paid(owner, orderId)).id,
    ownerId: await id(owner.get(`${API}/users/me`)),
    addressId: await id(owner.post(`${API}/users/me/addresses`, ADDRESS)),
    categoryId: await id(admin.post(`${API}/categories`, { name: `Attacked ${randomUUID()}` })),
  };
}

async function draftSale(shop: Shop, skuId: string): Promise<string> {
  const { data } = await shop.admin.post<Sale>(`${API}/seckill/sales`, saleOf(skuId));
  return data.id;
}

function saleOf(skuId: string): object {
  return {
    sku_id: skuId,
    price: 100,
    quantity: 5,
    start_at: new Date(Date.now() - HOUR_MS).toISOString(),
    end_at: new Date(Date.now() + HOUR_MS).toISOString(),
  };
}

const isIn = (actor: Actor): boolean => ADMITTED.includes(actor);

/** An order of the owner's that nothing has happened to; for those who stay outside, any. */
async function newOrder({ shop, owner, product, orderId }: Scene, actor: Actor): Promise<string> {
  return isIn(actor) ? (await shop.placed(owner, product.skuId)).id : orderId;
}

async function newPayment(scene: Scene, actor: Actor): Promise<string> {
  if (!isIn(actor)) return scene.paymentId;
  const order = await newOrder(scene, actor);
  return (await scene.shop.openPayment(scene.owner, order)).id;
}

/** @returns an order that is paid, and its payment. */
async function newPaid(scene: Scene, actor: Actor): Promise<{ order: string; payment: string }> {
  if (!isIn(actor)) return { order: scene.orderId, payment: scene.paymentId };
  const order = await newOrder(scene, actor);
  return { order, payment: (await scene.shop.paid(scene.owner, order)).id };
}

/** An account of its own for an operation that ends sessions. */
async function throwAway(scene: Scene, actor: Actor): Promise<{ token?: string }> {
  if (!isIn(actor)) return {};
  const { pair } = await scene.shop.customer();
  return { token: actor === "admin" ? promoted(pair.access_token) : pair.access_token };
}

const itemsOf = ({ product }: Scene) => [{ sku_id: product.skuId, quantity: 1 }];
const get =
  (path: (scene: Scene) => string): Prepare =>
  (scene) => ({ path: path(scene) });

const ACCOUNTS: Readonly<Record<string, Prepare>> = {
  "POST /auth/register": () => ({
    path: "/auth/register",
    body: { email: `${randomUUID()}@example.test`, password: CUSTOMER_PASSWORD },
  }),
  "POST /auth/login": ({ owner }) => ({
    path: "/auth/login",
    body: { email: owner.email, password: CUSTOMER_PASSWORD },
  }),
  "POST /auth/refresh": async ({ shop, owner }) => {
    const body = { email: owner.email, password: CUSTOMER_PASSWORD };
    const { data } = await shop.visitor().post<TokenPair>(`${API}/auth/login`, body);
    return { path: "/auth/refresh", body: { refresh_token: data.refresh_token } };
  },
  "POST /auth/logout": async (scene, actor) => ({
    path: "/auth/logout",
    ...(await throwAway(scene, actor)),
  }),
  "POST /auth/password-resets": ({ owner }) => ({
    path: "/auth/password-resets",
    body: { email: owner.email },
  }),
  // Whoever asks: what counts is a token from a mail, and this one never was in any.
  "POST /auth/password-resets/confirm": () => ({
    path: "/auth/password-resets/confirm",
    body: { token: randomUUID(), password: CUSTOMER_PASSWORD },
  }),
  "GET /users/me": get(() => "/users/me"),
  "PATCH /users/me": () => ({ path: "/users/me", body: { nickname: "Lin" } }),
  "POST /users/me/password": async (scene, actor) => ({
    path: "/users/me/password",
    body: { current_password: CUSTOMER_PASSWORD, new_password: "another horse, another staple" },
    ...(await throwAway(scene, actor)),
  }),
  "GET /users/{id}": get(({ ownerId }) => `/users/${ownerId}`),
  "GET /users/me/addresses": get(() => "/users/me/addresses"),
  "POST /users/me/addresses": () => ({ path: "/users/me/addresses", body: ADDRESS }),
  "GET /users/me/addresses/{id}": get(({ addressId }) => `/users/me/addresses/${addressId}`),
  "PATCH /users/me/addresses/{id}": ({ addressId }) => ({
    path: `/users/me/addresses/${addressId}`,
    body: { city: "Tianjin" },
  }),
  "DELETE /users/me/addresses/{id}": async ({ owner, addressId }, actor) => {
    if (!isIn(actor)) return { path: `/users/me/addresses/${addressId}` };
    const { data } = await owner.post<{ id: string }>(`${API}/users/me/addresses`, ADDRESS);
    return { path: `/users/me/addresses/${data.id}` };
  },
  "GET /admin/mails": get(() => "/admin/mails"),
  "POST /idempotency-tokens": () => ({ path: "/idempotency-tokens" }),
};

const CATALOGUE: Readonly<Record<string, Prepare>> = {
  "GET /products": get(() => "/products"),
  "GET /products/hot": get(() => "/products/hot"),
  "GET /products/{id}": get(({ product }) => `/products/${product.product.id}`),
  "POST /products": () => ({ path: "/products", body: { name: "Cup", price: 700, stock: 3 } }),
  "PATCH /products/{id}": ({ product }) => ({
    path: `/products/${product.product.id}`,
    body: { description: "Round" },
  }),
  "POST /products/{id}/list": ({ product }) => ({ path: `/products/${product.product.id}/list` }),
  "POST /products/{id}/unlist": async ({ shop, product }, actor) => {
    const target = actor === "admin" ? await shop.product(1) : product;
    return { path: `/products/${target.product.id}/unlist` };
  },
  "GET /categories": get(() => "/categories"),
  "POST /categories": () => ({ path: "/categories", body: { name: `Bowls ${randomUUID()}` } }),
  "PATCH /categories/{id}": ({ categoryId }) => ({
    path: `/categories/${categoryId}`,
    body: { position: 7 },
  }),
  "GET /inventory/{sku_id}": get(({ product }) => `/inventory/${product.skuId}`),
  "PUT /inventory/{sku_id}": async ({ shop, product }, actor) => ({
    path: `/inventory/${actor === "admin" ? (await shop.product(1)).skuId : product.skuId}`,
    body: { on_hand: 9 },
  }),
  "POST /inventory/{sku_id}/adjustments": ({ product }) => ({
    path: `/inventory/${product.skuId}/adjustments`,
    body: { delta: 1, reason: "found" },
  }),
  "GET /inventory/{sku_id}/movements": get(
    ({ product }) => `/inventory/${product.skuId}/movements`,
  ),
};

const TRADE: Readonly<Record<string, Prepare>> = {
  "POST /orders/prepare": (scene) => ({ path: "/orders/prepare", body: { items: itemsOf(scene) } }),
  "POST /orders": (scene) => ({
    path: "/orders",
    body: { items: itemsOf(scene) },
    key: randomUUID(),
  }),
  "GET /orders": get(() => "/orders"),
  "GET /orders/{id}": get(({ orderId }) => `/orders/${orderId}`),
  "POST /orders/{id}/cancel": async (scene, actor) => ({
    path: `/orders/${await newOrder(scene, actor)}/cancel`,
  }),
  "POST /orders/{id}/pay": async (scene, actor) => ({
    path: `/orders/${await newOrder(scene, actor)}/pay`,
  }),
  "POST /orders/{id}/ship": async (scene, actor) => {
    const isAdmin = actor === "admin";
    return {
      path: `/orders/${isAdmin ? (await newPaid(scene, actor)).order : scene.orderId}/ship`,
    };
  },
  "POST /orders/{id}/complete": async (scene, actor) => {
    const { order } = await newPaid(scene, actor);
    if (isIn(actor)) await scene.shop.admin.post<Order>(`${API}/orders/${order}/ship`);
    return { path: `/orders/${order}/complete` };
  },
  "POST /payments": async (scene, actor) => ({
    path: "/payments",
    body: { order_id: await newOrder(scene, actor), channel: "mock" },
    key: randomUUID(),
  }),
  "GET /payments/{id}": get(({ paymentId }) => `/payments/${paymentId}`),
  "POST /payments/{id}/simulate": async (scene, actor) => ({
    path: `/payments/${await newPayment(scene, actor)}/simulate`,
    body: { outcome: "failed" },
  }),
  "POST /payments/{id}/refund": async (scene, actor) => ({
    path: `/payments/${actor === "admin" ? (await newPaid(scene, actor)).payment : scene.paymentId}/refund`,
    body: { amount: 1, reason: "a dent" },
    key: randomUUID(),
  }),
  // Whoever brings it: what counts is the provider's signature.
  "POST /payments/{id}/callbacks": async ({ owner, paymentId }) => {
    const { data } = await owner.get<{ amount: number }>(`${API}/payments/${paymentId}`);
    const callback = signedCallback({ id: paymentId, amount: data.amount }, { webhookId: "again" });
    return { path: `/payments/${paymentId}/callbacks`, ...callback };
  },
  "POST /admin/reconciliations": () => ({
    path: "/admin/reconciliations",
    body: { day: new Date().toISOString().slice(0, 10) },
  }),
  "GET /admin/reconciliations": get(() => "/admin/reconciliations"),
  "GET /admin/invariants": get(() => "/admin/invariants"),
  "GET /admin/nodes": get(() => "/admin/nodes"),
  "GET /admin/backlogs": get(() => "/admin/backlogs"),
  "GET /admin/dead-letters": get(() => "/admin/dead-letters"),
  "POST /admin/dead-letters/{id}/replay": get(
    () => `/admin/dead-letters/inventory-${UNKNOWN_ID}/replay`,
  ),
  "DELETE /admin/dead-letters/{id}": get(() => `/admin/dead-letters/inventory-${UNKNOWN_ID}`),
  "GET /admin/orders/{id}/explain": get(({ orderId }) => `/admin/orders/${orderId}/explain`),
};

const SALES: Readonly<Record<string, Prepare>> = {
  "POST /seckill/sales": ({ product }) => ({ path: "/seckill/sales", body: saleOf(product.skuId) }),
  "POST /seckill/sales/{id}/publish": async ({ shop, product, saleId }, actor) => ({
    path: `/seckill/sales/${actor === "admin" ? await draftSale(shop, product.skuId) : saleId}/publish`,
  }),
  "POST /seckill/sales/{id}/close": async ({ shop, product, saleId }, actor) => {
    if (actor !== "admin") return { path: `/seckill/sales/${saleId}/close` };
    const id = await draftSale(shop, product.skuId);
    await shop.admin.post(`${API}/seckill/sales/${id}/publish`);
    return { path: `/seckill/sales/${id}/close` };
  },
  "GET /seckill/sales": get(() => "/seckill/sales"),
  "GET /seckill/sales/{id}": get(({ saleId }) => `/seckill/sales/${saleId}`),
  "POST /seckill/sales/{id}/passes": get(({ saleId }) => `/seckill/sales/${saleId}/passes`),
  "POST /seckill/sales/{id}/orders": get(({ saleId }) => `/seckill/sales/${saleId}/orders`),
  "GET /seckill/sales/{id}/orders/mine": get(
    ({ saleId }) => `/seckill/sales/${saleId}/orders/mine`,
  ),
  "GET /seckill/sales/{id}/audit": get(({ saleId }) => `/seckill/sales/${saleId}/audit`),
  "GET /seckill/sales/{id}/certificate": get(
    ({ saleId }) => `/seckill/sales/${saleId}/certificate`,
  ),
  "GET /seckill/certificate-key": () => ({ path: "/seckill/certificate-key" }),
  "GET /seckill/sales/{id}/events": ({ saleId }) => ({
    path: `/seckill/sales/${saleId}/events`,
    isStream: true,
  }),
};

/** Switches are turned off and lists are shortened: the shop goes on for the other operations. */
const RULES: Readonly<Record<string, Prepare>> = {
  "GET /admin/switches": get(() => "/admin/switches"),
  "PUT /admin/switches/{name}": () => ({
    path: "/admin/switches/stop_orders",
    body: { is_on: false, reason: "a drill" },
  }),
  "GET /admin/rule-changes": get(() => "/admin/rule-changes"),
  "GET /admin/buyer-lists": get(() => "/admin/buyer-lists?list=blocked"),
  "PUT /admin/buyer-lists": () => ({
    path: "/admin/buyer-lists",
    body: { list: "blocked", user_ids: [UNKNOWN_ID], is_listed: false, reason: "a drill" },
  }),
  "GET /admin/purchase-limits": get(() => "/admin/purchase-limits"),
  "PUT /admin/purchase-limits/{sku_id}": () => ({
    path: `/admin/purchase-limits/${UNKNOWN_ID}`,
    body: { per_order: null, reason: "a drill" },
  }),
  "GET /admin/api-clients": get(() => "/admin/api-clients"),
  "PUT /admin/api-clients/{key_id}": () => ({
    path: "/admin/api-clients/attacked",
    body: { is_active: false, reason: "a drill" },
  }),
};

/** By operation, such as `POST /orders/{id}/cancel`. */
export const OPERATIONS: Readonly<Record<string, Prepare>> = {
  ...ACCOUNTS,
  ...CATALOGUE,
  ...TRADE,
  ...SALES,
  ...RULES,
};
