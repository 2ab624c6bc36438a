// Idempotency keys on the wire, for every route that takes one: the first answer again, another body
// refused, and nobody's key is anybody else's.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createAccessTokens } from "../../mixins/auth/tokens.ts";
import type { Payment } from "../../services/contracts/payment.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import { ADDRESS } from "../support/address.ts";
import { type Answer, HttpClient } from "../support/http-client.ts";
import { API, openShop, type Shop, TOKEN_KEY } from "../support/shop.ts";

interface Made {
  readonly id?: string;
}

interface Subject {
  readonly client: HttpClient;
  readonly path: string;
  readonly body: object;
  /** Valid, but another one. */
  readonly otherBody: object;
}

describe("an Idempotency-Key on the wire", function () {
  this.timeout(120_000);
  let shop: Shop;
  let secondAdmin: HttpClient;

  before(async () => {
    shop = await openShop();
    const tokens = createAccessTokens({ current: TOKEN_KEY }, systemClock);
    const made = tokens.sign({ userId: "9100000000000000001", role: "admin", familyId: "91" });
    secondAdmin = new HttpClient(shop.url, made);
  });
  after(() => shop.expectInvariants());

  const post = ({ client, path }: Subject, body: object, key: string): Promise<Answer<Made>> =>
    client.send<Made>("POST", path, { body, key });

  async function orderOf(client: HttpClient): Promise<string> {
    const { skuId } = await shop.product(3, 1_000);
    return (await shop.placed(client, skuId)).id;
  }

  async function paidOrderOf(client: HttpClient): Promise<Payment> {
    const orderId = await orderOf(client);
    return shop.paid(client, orderId);
  }

  /** What to send, by route; `one` and `other` are two users who may. */
  const SUBJECTS: Readonly<Record<string, (client: HttpClient) => Promise<Subject>>> = {
    "POST /users/me/addresses": (client) =>
      Promise.resolve({
        client,
        path: `${API}/users/me/addresses`,
        body: ADDRESS,
        otherBody: { ...ADDRESS, city: "Tianjin" },
      }),
    "POST /products": (client) =>
      Promise.resolve({
        client,
        path: `${API}/products`,
        body: { name: "A cup", price: 100, stock: 1 },
        otherBody: { name: "A cup", price: 101, stock: 1 },
      }),
    "POST /categories": (client) => {
      const body = { name: `Cups ${randomUUID()}` };
      return Promise.resolve({
        client,
        path: `${API}/categories`,
        body,
        otherBody: { name: `${body.name} too` },
      });
    },
    "POST /inventory/:sku_id/adjustments": async (client) => {
      const { skuId } = await shop.product(5);
      return {
        client,
        path: `${API}/inventory/${skuId}/adjustments`,
        body: { delta: 2, reason: "found" },
        otherBody: { delta: 3, reason: "found" },
      };
    },
    "POST /orders": async (client) => {
      const { skuId } = await shop.product(9);
      const items = (quantity: number) => [{ sku_id: skuId, quantity }];
      return {
        client,
        path: `${API}/orders`,
        body: { items: items(1) },
        otherBody: { items: items(2) },
      };
    },
    "POST /orders/:id/pay": async (client) => ({
      client,
      path: `${API}/orders/${await orderOf(client)}/pay`,
      body: {},
      otherBody: { channel: "mock" },
    }),
    "POST /payments": async (client) => {
      const [one, other] = [await orderOf(client), await orderOf(client)];
      return {
        client,
        path: `${API}/payments`,
        body: { order_id: one, channel: "mock" },
        otherBody: { order_id: other, channel: "mock" },
      };
    },
    "POST /payments/:id/refund": async (client) => ({
      client,
      path: `${API}/payments/${(await paidOrderOf(await shop.customer())).id}/refund`,
      body: { amount: 100, reason: "scratched" },
      otherBody: { amount: 200, reason: "scratched" },
    }),
  };
  const routes = publicRoutes().filter(({ contract }) => contract.idempotencyKey !== undefined);
  const mine = routes.filter(({ service }) => service !== "seckill");

  it("is known to these tests for every route that takes one", () => {
    assert.deepEqual(mine.map(({ label }) => label).sort(), Object.keys(SUBJECTS).sort());
  });

  for (const { label, contract } of mine) {
    const subjectOf = async (which: "one" | "other"): Promise<Subject> => {
      const isAdmins = contract.auth === "admin";
      const admin = which === "one" ? shop.admin : secondAdmin;
      const make = SUBJECTS[label];
      assert.ok(make !== undefined);
      return make(isAdmins ? admin : await shop.customer());
    };

    describe(label, () => {
      it("gives the first answer again and refuses another body", async () => {
        const subject = await subjectOf("one");
        const key = randomUUID();
        const first = await post(subject, subject.body, key);
        assert.equal(first.status, 201, JSON.stringify(first.body));
        assert.equal(first.headers["idempotency-replayed"], undefined);
        const again = await post(subject, subject.body, key);
        assert.deepEqual([again.status, again.headers["idempotency-replayed"]], [201, "true"]);
        assert.deepEqual(again.data, first.data);
        const other = await post(subject, subject.otherBody, key);
        assert.deepEqual([other.status, other.body.error], [422, "IDEMPOTENCY_KEY_REUSED"]);
      });

      it("takes the same key of another user for another operation", async () => {
        const [one, other] = [await subjectOf("one"), await subjectOf("other")];
        const key = randomUUID();
        const first = await post(one, one.body, key);
        const second = await post(other, other.body, key);
        assert.deepEqual([first.status, second.status], [201, 201], JSON.stringify(second.body));
        assert.equal(second.headers["idempotency-replayed"], undefined);
        if (first.data.id !== undefined) assert.notEqual(second.data.id, first.data.id);
      });
    });
  }

  it("is refused when it is missing where it is needed, or malformed", async () => {
    const required = mine.filter(({ contract }) => contract.idempotencyKey === "required");
    assert.deepEqual(required.map(({ label }) => label).sort(), [
      "POST /orders",
      "POST /payments",
      "POST /payments/:id/refund",
    ]);
    const buyer = await shop.customer();
    const body = { items: [{ sku_id: "1", quantity: 1 }] };
    const missing = await buyer.post(`${API}/orders`, body);
    assert.deepEqual([missing.status, missing.body.error], [400, "IDEMPOTENCY_KEY_REQUIRED"]);
    for (const key of ["", "with space", "x".repeat(256)]) {
      const malformed = await buyer.send("POST", `${API}/orders`, { body, key });
      assert.deepEqual(
        [malformed.status, malformed.body.error],
        [400, "IDEMPOTENCY_KEY_MALFORMED"],
      );
    }
  });

  it("makes one of many requests that come at once, and says so to the others", async () => {
    const { skuId } = await shop.product(5);
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        shop.admin.send<Made>("POST", `${API}/inventory/${skuId}/adjustments`, {
          body: { delta: 3, reason: "found" },
          key,
        }),
      ),
    );
    for (const { status, headers, body } of answers.filter((one) => one.status !== 201)) {
      assert.deepEqual([status, body.error], [409, "IDEMPOTENCY_IN_PROGRESS"]);
      assert.ok(Number(headers["retry-after"]) >= 1);
    }
    const fresh = answers.filter(
      ({ status, headers }) => status === 201 && headers["idempotency-replayed"] === undefined,
    );
    assert.equal(fresh.length, 1);
    assert.equal((await shop.stock(skuId)).on_hand, 8);
  });

  it("can be one that the server made", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(5);
    const made = await buyer.post<{ token: string; expires_at: string }>(
      `${API}/idempotency-tokens`,
    );
    assert.equal(made.status, 201);
    assert.ok(Date.parse(made.data.expires_at) > Date.now());
    const send = () =>
      buyer.send<Made>("POST", `${API}/orders`, {
        body: { items: [{ sku_id: skuId, quantity: 1 }] },
        key: made.data.token,
      });
    const [first, again] = [await send(), await send()];
    assert.equal(first.status, 201);
    assert.equal(again.data.id, first.data.id);
  });
});
