// Somebody with a good token of his own who wants what is another's: by every id there is, by fields
// that no form shows, and by being many at once.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Order } from "../../services/contracts/order.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import type { User } from "../../services/contracts/user.ts";
import { AUTHORISATION } from "../support/attack/authorisation.ts";
import { assembleCast, type Cast } from "../support/attack/actors.ts";
import { OPERATIONS, type Scene, setScene, UNKNOWN_ID } from "../support/attack/operations.ts";
import { eventually } from "../support/eventually.ts";
import { type Answer, HttpClient } from "../support/http-client.ts";
import { API, CUSTOMER_PASSWORD, openShop, type Shop } from "../support/shop.ts";

const HOUR_MS = 3_600_000;
const AT_ONCE = 30;
const NOT_LIMITED = { timeoutMs: 30_000, intervalMs: 200, what: "the limit lets him in" };

describe("somebody who wants what is another's", function () {
  this.timeout(180_000);
  let shop: Shop;
  let cast: Cast;
  let scene: Scene;
  let mallory: HttpClient;

  before(async () => {
    shop = await openShop();
    cast = await assembleCast(shop);
    scene = await setScene(shop, cast.owner);
    mallory = new HttpClient(shop.url, cast.tokens.other);
  });
  after(() => shop.expectInvariants());

  const withoutIds = ({ status, body }: Answer): object => ({ status, error: body.error });

  describe("ACC1 by an id", () => {
    it("in the path is answered as for an id that nothing has", async () => {
      const { orderId, paymentId, addressId } = scene;
      const paths = (id: (kind: string) => string): readonly [string, string, object?][] => [
        ["GET", `/orders/${id(orderId)}`],
        ["POST", `/orders/${id(orderId)}/cancel`],
        ["POST", `/orders/${id(orderId)}/pay`],
        ["POST", `/orders/${id(orderId)}/complete`],
        ["GET", `/payments/${id(paymentId)}`],
        ["POST", `/payments/${id(paymentId)}/simulate`, { outcome: "succeeded" }],
        ["GET", `/users/me/addresses/${id(addressId)}`],
        ["PATCH", `/users/me/addresses/${id(addressId)}`, { city: "Elsewhere" }],
        ["DELETE", `/users/me/addresses/${id(addressId)}`],
      ];
      const ask = async ([method, path, body]: readonly [string, string, object?]) =>
        withoutIds(await mallory.send(method, API + path, body === undefined ? {} : { body }));
      const unknown = paths(() => UNKNOWN_ID);
      for (const [index, request] of paths((id) => id).entries()) {
        const others = await ask(request);
        assert.deepEqual(others, await ask(unknown[index] ?? request), request[1]);
        assert.equal((others as { status: number }).status, 404);
      }
    });

    it("in a body is answered as for an id that nothing has", async () => {
      const items = [{ sku_id: scene.product.skuId, quantity: 1 }];
      for (const [path, bodyWith] of [
        ["/payments", (id: string) => ({ order_id: id, channel: "mock" })],
        ["/orders", (id: string) => ({ items, address_id: id })],
      ] as const) {
        const own = path === "/payments" ? scene.orderId : scene.addressId;
        const [others, unknown] = await Promise.all(
          [own, UNKNOWN_ID].map((id) => mallory.create(API + path, bodyWith(id))),
        );
        assert.ok(others !== undefined && unknown !== undefined);
        assert.ok(others.status === 404 || others.status === 422, path);
        assert.deepEqual(withoutIds(others), withoutIds(unknown));
      }
    });

    it("never stands in a list of his", async () => {
      for (const path of ["/orders?page_size=100", "/users/me/addresses?page_size=100"]) {
        const { data } = await mallory.get<{ items: { id: string }[] }>(API + path);
        const ids = data.items.map(({ id }) => id);
        assert.ok(!ids.includes(scene.orderId) && !ids.includes(scene.addressId));
      }
    });

    it("of a session ends none but his own", async () => {
      const { owner } = cast;
      const thief = await shop.customer();
      const body = { refresh_token: owner.pair.refresh_token };
      await thief.post(`${API}/auth/logout`, body);
      const again = await shop.visitor().post(`${API}/auth/refresh`, body);
      assert.equal(again.status, 200);
    });

    it("of a pass lets nobody in but him it was made for", async () => {
      const saleId = await openSale({ pass_required: true });
      const path = `${API}/seckill/sales/${saleId}`;
      const { data } = await cast.owner.post<{ pass: string }>(`${path}/passes`);
      for (const pass of [data.pass, `${data.pass}A`, `9${data.pass}`, "", "null"]) {
        const headers = { "x-seckill-pass": pass };
        const { status, body } = await mallory.send("POST", `${path}/orders`, { headers });
        assert.deepEqual([status, body.error], [403, "SECKILL_PASS_REQUIRED"]);
      }
    });
  });

  describe("ACC2 by a field that no form shows", () => {
    const COVETED = {
      id: "1",
      user_id: "1",
      role: "admin",
      is_admin: true,
      price: 1,
      total_price: 1,
      status: "paid",
      refunded_amount: 0,
      version: 1,
    } as const;

    for (const operation of Object.keys(AUTHORISATION)) {
      const [method = "", path = ""] = operation.split(" ");
      if (!["POST", "PUT", "PATCH"].includes(method) || /callbacks$/.test(path)) continue;
      it(`${operation} is refused as a whole`, async () => {
        // An outsider's request: whatever it is for is not made anew.
        const attempt = await OPERATIONS[operation]?.(scene, "anonymous");
        assert.ok(attempt !== undefined);
        const own = (attempt.body ?? {}) as Readonly<Record<string, unknown>>;
        const fields = Object.fromEntries(
          Object.entries(COVETED).filter(([field]) => !(field in own) && !isTaken(path, field)),
        );
        const { status, body } = await eventually(async () => {
          const answer = await new HttpClient(shop.url, cast.tokens.admin).send(
            method,
            API + attempt.path,
            { ...attempt, key: randomUUID(), body: { ...own, ...fields } },
          );
          return [429, 503].includes(answer.status) ? undefined : answer;
        }, NOT_LIMITED);
        assert.deepEqual([status, body.error], [422, "VALIDATION_FAILED"], JSON.stringify(body));
        const named = (body.details as { field: string }[]).map(({ field }) => field);
        for (const field of Object.keys(fields)) assert.ok(named.includes(field), field);
      });
    }

    /** What the operation takes although this request leaves it out. */
    function isTaken(path: string, field: string): boolean {
      return field === "price" && path.startsWith("/products");
    }

    it("leaves him who he was", async () => {
      const rawBody =
        '{"nickname":"x","__proto__":{"role":"admin"},"constructor":{"role":"admin"}}';
      assert.equal((await mallory.send("PATCH", `${API}/users/me`, { rawBody })).status, 422);
      const { data } = await mallory.get<User>(`${API}/users/me`);
      assert.deepEqual([data.role, data.nickname], ["customer", null]);
      assert.equal((await mallory.get(`${API}/admin/invariants`)).status, 403);
    });

    it("is told of nothing that is only ours", async () => {
      const { data } = await mallory.get<User>(`${API}/users/me`);
      assert.deepEqual(Object.keys(data).sort(), ["created_at", "email", "id", "nickname", "role"]);
      const register = { email: `${randomUUID()}@example.test`, password: CUSTOMER_PASSWORD };
      const { body } = await shop.visitor().post(`${API}/auth/register`, register);
      assert.doesNotMatch(JSON.stringify(body), /argon2|hash|password/i);
    });
  });

  describe("ACC4 by a way that the business does not go", () => {
    it("orders no number of things that is none", async () => {
      const sku = scene.product.skuId;
      for (const quantity of [0, -1, 1.5, 100, 1e9, "1", null, [1], { $gt: 0 }]) {
        const body = { items: [{ sku_id: sku, quantity }] };
        const answer = await cast.owner.create(`${API}/orders`, body);
        assert.deepEqual([answer.status, answer.body.error], [422, "VALIDATION_FAILED"]);
      }
      const twice = [1, 1].map((quantity) => ({ sku_id: sku, quantity }));
      const { status } = await cast.owner.create(`${API}/orders`, { items: twice });
      assert.equal(status, 422);
    });

    it("pays what the shop asks, whatever he says", async () => {
      const { skuId, product } = scene.product;
      const items = [{ sku_id: skuId, quantity: 2, price: 1 }];
      assert.equal((await cast.owner.create(`${API}/orders`, { items })).status, 422);
      const order = await shop.placed(cast.owner, skuId, 2);
      assert.equal(order.total_price, 2 * product.price);
      await cast.owner.post(`${API}/orders/${order.id}/cancel`);
    });

    it("ships nothing unpaid, completes nothing unshipped, takes back nothing unpaid", async () => {
      const order = await shop.placed(cast.owner, scene.product.skuId);
      const payment = await shop.openPayment(cast.owner, order.id);
      for (const [client, path, body] of [
        [shop.admin, `/orders/${order.id}/ship`, undefined],
        [cast.owner, `/orders/${order.id}/complete`, undefined],
        [shop.admin, `/payments/${payment.id}/refund`, { reason: "because" }],
      ] as const) {
        const answer = await client.create<Order>(API + path, body);
        assert.equal(answer.status, 409, `${path}: ${JSON.stringify(answer.body)}`);
      }
      await cast.owner.post(`${API}/orders/${order.id}/cancel`);
    });

    it("buys nothing before a sale has begun, whatever his clock says", async () => {
      const startsAt = new Date(Date.now() + HOUR_MS).toISOString();
      const endsAt = new Date(Date.now() + 2 * HOUR_MS).toISOString();
      const saleId = await openSale({ start_at: startsAt, end_at: endsAt });
      const headers = { date: new Date(Date.now() + HOUR_MS + 1_000).toUTCString() };
      const path = `${API}/seckill/sales/${saleId}/orders`;
      const { status, body } = await mallory.send("POST", path, { headers });
      assert.deepEqual([status, body.error], [409, "SECKILL_NOT_STARTED"]);
    });

    it("gets one unit of a sale, however many requests he sends at once", async () => {
      const saleId = await openSale({});
      const path = `${API}/seckill/sales/${saleId}/orders`;
      const buyer = await shop.customer();
      const answers = await Promise.all(
        Array.from({ length: AT_ONCE }, () => buyer.post<{ order_id?: string }>(path)),
      );
      const promised = answers
        .filter(({ status }) => status === 202)
        .map(({ data }) => data.order_id)
        .filter((id) => id !== undefined);
      assert.ok(new Set(promised).size <= 1, promised.join(", "));
      for (const { status } of answers) {
        assert.ok([202, 409, 429, 503].includes(status), String(status));
      }
      await eventually(
        async () => {
          const { data } = await buyer.get<{ live: number; remaining: number; holds: boolean }>(
            `${API}/seckill/sales/${saleId}/audit`,
          );
          return data.holds && data.live === 1 && data.remaining === 4;
        },
        { timeoutMs: 20_000, intervalMs: 300, what: "the sale has sold one unit" },
      );
    });
  });

  async function openSale(changes: object): Promise<string> {
    const { data } = await shop.admin.post<Sale>(`${API}/seckill/sales`, {
      sku_id: scene.product.skuId,
      price: 100,
      quantity: 5,
      start_at: new Date(Date.now() - HOUR_MS).toISOString(),
      end_at: new Date(Date.now() + HOUR_MS).toISOString(),
      ...changes,
    });
    const published = await shop.admin.post(`${API}/seckill/sales/${data.id}/publish`);
    assert.equal(published.status, 200, JSON.stringify(published.body));
    return data.id;
  }
});
