// The document keeps its word: one walk through every operation, each answer held against the
// document that the platform itself serves. (Every other journey of the shared shop is held, too.)
import assert from "node:assert/strict";
import type { Payment } from "../../services/contracts/payment.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import { API_PREFIX, publicRoutes } from "../../services/gateway/route-table.ts";
import { ADDRESS } from "../support/address.ts";
import { ContractCheck } from "../support/contract-check.ts";
import { eventually } from "../support/eventually.ts";
import { type Answer, type ObservedAnswer } from "../support/http-client.ts";
import { API, contractCheck, openShop, type Shop } from "../support/shop.ts";

const HOUR_MS = 3_600_000;
/** Their success needs a message that failed for good, or an answer that never ends. */
const NOT_WALKED = [
  "POST /admin/dead-letters/:id/replay",
  "DELETE /admin/dead-letters/:id",
  "GET /seckill/sales/:id/events",
];
const UNKNOWN_ID = "4611686018427387904";

interface Made {
  readonly id: string;
}

describe("the OpenAPI document of the running platform", function () {
  this.timeout(120_000);
  let shop: Shop;
  let buyer: Awaited<ReturnType<Shop["customer"]>>;

  before(async () => {
    shop = await openShop();
    buyer = await shop.customer();
  });
  after(() => shop.expectInvariants());

  const done = <T>(answer: Answer<T>): T => {
    assert.ok(answer.status >= 200 && answer.status < 300, JSON.stringify(answer.body));
    return answer.data;
  };

  it("describes the catalogue and the stock", async () => {
    const { admin } = shop;
    const category = done(
      await admin.create<Made>(`${API}/categories`, { name: `Bowls ${buyer.email}` }),
    );
    done(
      await admin.send("PATCH", `${API}/categories/${category.id}`, {
        body: { name: `Pots ${buyer.email}` },
      }),
    );
    done(await buyer.get(`${API}/categories`));
    const { product, skuId } = await shop.product(9, 700);
    const path = `${API}/products/${product.id}`;
    const body = { description: "Round", category_id: category.id };
    done(await admin.send("PATCH", path, { body }));
    done(await admin.post(`${path}/unlist`));
    done(await admin.post(`${path}/list`));
    done(await buyer.get(path));
    done(await buyer.get(`${API}/products?category_id=${category.id}&sort=price,desc`));
    done(await buyer.get(`${API}/products/hot`));
    done(
      await admin.send("PUT", `${API}/inventory/${skuId}`, {
        body: { on_hand: 20, safety_stock: 1 },
      }),
    );
    done(
      await admin.create(`${API}/inventory/${skuId}/adjustments`, { delta: -1, reason: "broken" }),
    );
    done(await admin.get(`${API}/inventory/${skuId}`));
    done(await admin.get(`${API}/inventory/${skuId}/movements`));
  });

  it("describes an account from its first day to its last session", async () => {
    const me = `${API}/users/me`;
    const profile = done(await buyer.send<Made>("PATCH", me, { body: { nickname: "Lin" } }));
    done(await buyer.get(me));
    done(await shop.admin.get(`${API}/users/${profile.id}`));
    const address = done(await buyer.create<Made>(`${me}/addresses`, ADDRESS));
    done(await buyer.get(`${me}/addresses`));
    done(await buyer.get(`${me}/addresses/${address.id}`));
    done(await buyer.send("PATCH", `${me}/addresses/${address.id}`, { body: { city: "Tianjin" } }));
    done(await buyer.send("DELETE", `${me}/addresses/${address.id}`));
    done(await buyer.post(`${API}/idempotency-tokens`));

    const leaver = await shop.customer();
    const refresh_token = leaver.pair.refresh_token;
    done(await leaver.post(`${API}/auth/refresh`, { refresh_token }));
    done(await leaver.post(`${API}/auth/password-resets`, { email: leaver.email }));
    const token = await resetTokenOf(leaver.email);
    const password = "a third horse, a third staple";
    done(await leaver.post(`${API}/auth/password-resets/confirm`, { token, password }));
    const again = done(
      await leaver.post<{ access_token: string }>(`${API}/auth/login`, {
        email: leaver.email,
        password,
      }),
    );
    leaver.signIn(again.access_token);
    const change = { current_password: password, new_password: "the last horse of them all" };
    done(await leaver.post(`${me}/password`, change));
    const last = await shop.customer();
    done(await last.post(`${API}/auth/logout`));
  });

  function resetTokenOf(email: string): Promise<string> {
    return eventually(
      async () => {
        const mails = done(
          await shop.admin.get<{ items: { recipient: string; body: string }[] }>(
            `${API}/admin/mails`,
          ),
        );
        const body = mails.items.find(({ recipient }) => recipient === email)?.body ?? "";
        return /[A-Za-z0-9_-]{20,}/.exec(body)?.[0];
      },
      { timeoutMs: 5_000, intervalMs: 200, what: "the reset mail is there" },
    );
  }

  it("describes an order, its payments and its end", async () => {
    const { skuId } = await shop.product(9, 700);
    const items = [{ sku_id: skuId, quantity: 1 }];
    done(await buyer.post(`${API}/orders/prepare`, { items }));
    const order = await shop.placed(buyer, skuId);
    const paid = await shop.paid(buyer, order.id);
    done(await buyer.get<Payment>(`${API}/payments/${paid.id}`));
    done(
      await shop.admin.create(`${API}/payments/${paid.id}/refund`, { amount: 100, reason: "late" }),
    );
    done(await shop.admin.post(`${API}/orders/${order.id}/ship`));
    done(await buyer.post(`${API}/orders/${order.id}/complete`));
    done(await shop.admin.get(`${API}/admin/orders/${order.id}/explain`));

    const second = await shop.placed(buyer, skuId);
    const opened = done(
      await buyer.create<Payment>(`${API}/payments`, { order_id: second.id, channel: "mock" }),
    );
    done(await shop.callback(opened));
    const third = await shop.placed(buyer, skuId);
    done(await buyer.post(`${API}/orders/${third.id}/cancel`));
    done(await buyer.get(`${API}/orders?page_size=5`));
    done(await buyer.get(`${API}/orders/${third.id}`));
  });

  it("describes a flash sale", async () => {
    const { skuId } = await shop.product(20);
    const sale = done(
      await shop.admin.create<Sale>(`${API}/seckill/sales`, {
        sku_id: skuId,
        price: 100,
        quantity: 5,
        start_at: new Date(Date.now() - 60_000).toISOString(),
        end_at: new Date(Date.now() + HOUR_MS).toISOString(),
        pass_required: true,
      }),
    );
    const path = `${API}/seckill/sales/${sale.id}`;
    done(await shop.admin.post(`${path}/publish`));
    done(await buyer.get(`${API}/seckill/sales`));
    done(await buyer.get(path));
    const { pass } = done(await buyer.post<{ pass: string }>(`${path}/passes`));
    await eventually(
      async () => {
        const { status } = await buyer.send("POST", `${path}/orders`, {
          headers: { "x-seckill-pass": pass },
        });
        return status === 202;
      },
      { timeoutMs: 10_000, intervalMs: 200, what: "a buyer is let in" },
    );
    done(await buyer.get(`${path}/orders/mine`));
    done(await buyer.get(`${path}/audit`));
    done(await shop.admin.get(`${path}/audit`));
    done(await buyer.get(`${path}/certificate`));
    done(await buyer.get(`${API}/seckill/certificate-key`));
    done(await shop.admin.post(`${path}/close`));
  });

  it("describes what admins see", async () => {
    const { admin } = shop;
    done(await admin.get(`${API}/admin/invariants`));
    done(await admin.get(`${API}/admin/nodes`));
    done(await admin.get(`${API}/admin/backlogs`));
    done(await admin.get(`${API}/admin/dead-letters`));
    for (const [method, path] of [
      ["POST", `${API}/admin/dead-letters/inventory.${UNKNOWN_ID}/replay`],
      ["DELETE", `${API}/admin/dead-letters/inventory.${UNKNOWN_ID}`],
    ] as const) {
      assert.equal((await admin.send(method, path)).status, 404);
    }
    const day = new Date().toISOString().slice(0, 10);
    done(await admin.post(`${API}/admin/reconciliations`, { day }));
    done(await admin.get(`${API}/admin/reconciliations`));
  });

  it("describes what an operator changes", async () => {
    const { admin } = shop;
    const { skuId } = await shop.product(1);
    const reason = "a drill";
    for (const [path, body] of [
      ["switches/stop_orders", { is_on: false, reason }],
      ["buyer-lists", { list: "blocked", user_ids: [UNKNOWN_ID], is_listed: true, reason }],
      [`purchase-limits/${skuId}`, { per_order: 2, reason }],
      ["api-clients/walked", { is_active: true, reason }],
    ] as const) {
      done(await admin.send("PUT", `${API}/admin/${path}`, { body }));
    }
    done(await admin.get(`${API}/admin/switches`));
    done(await admin.get(`${API}/admin/buyer-lists?list=blocked`));
    done(await admin.get(`${API}/admin/purchase-limits`));
    done(await admin.get(`${API}/admin/rule-changes`));
    done(await admin.get(`${API}/admin/api-clients`));
  });

  it("was held against a success of every operation", () => {
    const seen = [...contractCheck().seen];
    const missing = publicRoutes()
      .filter(({ label }) => !NOT_WALKED.includes(label))
      .map(
        ({ rest }) => `${rest.method} ${API_PREFIX}${rest.path.replaceAll(/:([a-z_]+)/g, "{$1}")}`,
      )
      .filter((operation) => !seen.some((one) => one.startsWith(`${operation} 2`)));
    assert.deepEqual(missing, []);
  });

  describe("is broken, and the check says so,", () => {
    let check: ContractCheck;
    const answerOf = (changes: Partial<Answer>): ObservedAnswer => ({
      method: "GET",
      path: `${API}/orders/${UNKNOWN_ID}`,
      answer: {
        status: 200,
        headers: { "content-type": "application/json; charset=utf-8" },
        body: { code: 0, message: "OK" },
        data: undefined,
        ...changes,
      },
    });

    before(async () => {
      check = await ContractCheck.of(shop.url);
    });

    it("by a status nobody told of", () => {
      assert.throws(() => check.check(answerOf({ status: 418 })), /not in the document/);
    });

    it("by a body of another form, or with a field that is not told of", () => {
      const body = { code: 0, message: "OK", data: { id: UNKNOWN_ID, status: "queued" } };
      check.check(answerOf({ body }));
      const beside = { ...body, trace: "x" };
      assert.throws(() => check.check(answerOf({ body: beside })), /additional/);
      const wrong = { ...body, data: { id: 7, status: "queued" } };
      assert.throws(() => check.check(answerOf({ body: wrong })), /must be string/);
    });

    it("by another type of content", () => {
      const headers = { "content-type": "text/html" };
      assert.throws(() => check.check(answerOf({ headers })), /text\/html/);
    });
  });
});
