// The flash sale's one hot request on the wire: what each buyer is told, whoever asks how often.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Sale } from "../../services/contracts/seckill.ts";
import { eventually } from "../support/eventually.ts";
import type { Answer, HttpClient } from "../support/http-client.ts";
import { type Bought, buy, openSale, SALES, whenKnown } from "../support/open-sale.ts";
import { scrape, total } from "../support/scrape.ts";
import { API, openShop, SETTLE_TIMEOUT_MS, type Shop } from "../support/shop.ts";

const DOUBLE_CLICKS = 10;
const OVER_THE_LIMIT = 80;
const ASKED_AGAIN = 40;

describe("the fast lane", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });
  after(() => shop.expectInvariants());

  const oneCustomer = async (): Promise<HttpClient> => await shop.customer();
  const slugOf = ({ body }: Answer<Bought>): string | undefined => body.error;
  /** An answer with an order id; a shop that is busy is asked again. */
  const bought = (buyer: HttpClient, sale: Sale): Promise<string> =>
    eventually(async () => (await buy(buyer, sale.id)).data.order_id, {
      timeoutMs: SETTLE_TIMEOUT_MS,
      what: "the buyer has an order",
      intervalMs: 150,
    });

  it("answers in the shop's envelope, with its heads, under the request's id", async () => {
    const sale = await openSale(shop);
    await whenKnown(shop, sale.id);
    const requestId = randomUUID();
    const { status, body, headers, data } = await buy(await oneCustomer(), sale.id, {
      "x-request-id": requestId,
    });
    assert.equal(status, 202, JSON.stringify(body));
    assert.deepEqual({ ...body, data: undefined }, { code: 0, message: "OK", data: undefined });
    assert.deepEqual(Object.keys(data).sort(), ["order_id", "status"]);
    assert.equal(data.status, "queued");
    assert.equal(headers["x-request-id"], requestId);
    assert.equal(headers["content-type"], "application/json; charset=utf-8");
    const ordinary = await shop.visitor().get(`${SALES}/${sale.id}`);
    for (const name of [
      "x-content-type-options",
      "cache-control",
      "referrer-policy",
      "content-security-policy",
    ]) {
      assert.equal(headers[name], ordinary.headers[name], name);
    }
  });

  it("gives the same attempt the same promise, and another one the order it has", async () => {
    const sale = await openSale(shop);
    await whenKnown(shop, sale.id);
    const buyer = await oneCustomer();
    const requestId = randomUUID();
    const first = await buy(buyer, sale.id, { "x-request-id": requestId });
    const orderId = first.data.order_id;
    assert.ok(orderId !== undefined, JSON.stringify(first.body));
    const again = await buy(buyer, sale.id, { "x-request-id": requestId });
    const other = await buy(buyer, sale.id);
    assert.equal(slugOf(other), "SECKILL_ALREADY_PURCHASED");
    assert.deepEqual(other.body.details, { order_id: orderId });
    // Without its gate a sale does not know attempts, and says what the buyer has instead.
    const promised = (again.data as Bought | undefined)?.order_id;
    const known = promised ?? (again.body.details as { order_id: string }).order_id;
    assert.equal(known, orderId);
  });

  it("makes one order of many clicks at once", async () => {
    const sale = await openSale(shop);
    await whenKnown(shop, sale.id);
    const buyer = await oneCustomer();
    const answers = await Promise.all(
      Array.from({ length: DOUBLE_CLICKS }, () => buy(buyer, sale.id)),
    );
    const told = answers.flatMap(({ data, body }) => {
      const held = (body.details as { order_id?: string } | null | undefined)?.order_id;
      return (data as Bought | undefined)?.order_id ?? held ?? [];
    });
    const mine = await eventually(
      async () => (await buyer.get<Bought>(`${SALES}/${sale.id}/orders/mine`)).data.order_id,
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the buyer has an order", intervalMs: 150 },
    );
    assert.deepEqual([...new Set([...told, mine])], [mine]);
    const { data } = await shop.visitor().get<{ live: number }>(`${SALES}/${sale.id}/audit`);
    assert.equal(data.live, 1);
  });

  it("refuses who has no token, a wrong one, or comes at the wrong time", async () => {
    const open = await openSale(shop);
    const early = await openSale(shop, { startsInMs: 600_000, endsInMs: 1_200_000 });
    await Promise.all([whenKnown(shop, open.id), whenKnown(shop, early.id)]);
    const anonymous = await buy(shop.visitor(), open.id);
    assert.deepEqual([anonymous.status, slugOf(anonymous)], [401, "AUTH_REQUIRED"]);
    assert.equal(anonymous.headers["www-authenticate"], 'Bearer realm="shop"');
    const forged = await buy(shop.visitor().signIn("a.b.c"), open.id);
    assert.deepEqual([forged.status, slugOf(forged)], [401, "AUTH_TOKEN_INVALID"]);
    const buyer = await oneCustomer();
    const tooEarly = await buy(buyer, early.id);
    assert.deepEqual([tooEarly.status, slugOf(tooEarly)], [409, "SECKILL_NOT_STARTED"]);
    assert.equal((await shop.admin.post(`${SALES}/${open.id}/close`)).body.code, 0);
    const tooLate = await eventually(
      async () => {
        const answer = await buy(buyer, open.id);
        return answer.status === 503 ? undefined : answer;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the buyer is answered", intervalMs: 100 },
    );
    assert.deepEqual([tooLate.status, slugOf(tooLate)], [409, "SECKILL_ENDED"]);
  });

  it("takes a pass of this buyer for this sale and no other, where a sale asks for one", async () => {
    const [sale, another] = [
      await openSale(shop, { isPassRequired: true }),
      await openSale(shop, { isPassRequired: true }),
    ];
    await whenKnown(shop, sale.id);
    const [buyer, stranger] = [await oneCustomer(), await oneCustomer()];
    const passOf = async (who: HttpClient, { id }: Sale): Promise<string> => {
      const { status, data } = await who.post<{ pass: string }>(`${SALES}/${id}/passes`);
      assert.equal(status, 201);
      return data.pass;
    };
    const refused = [
      {},
      { "x-seckill-pass": "x" },
      { "x-seckill-pass": await passOf(stranger, sale) },
      { "x-seckill-pass": await passOf(buyer, another) },
    ];
    for (const headers of refused) {
      const answer = await buy(buyer, sale.id, headers);
      assert.deepEqual([answer.status, slugOf(answer)], [403, "SECKILL_PASS_REQUIRED"]);
    }
    const { status } = await buy(buyer, sale.id, { "x-seckill-pass": await passOf(buyer, sale) });
    assert.equal(status, 202);
  });

  it("limits a buyer who asks too often, and tells him when to come back", async () => {
    const sale = await openSale(shop);
    await whenKnown(shop, sale.id);
    const buyer = await oneCustomer();
    const answers = await Promise.all(
      Array.from({ length: OVER_THE_LIMIT }, () => buy(buyer, sale.id)),
    );
    const limited = answers.filter(({ status }) => status === 429);
    assert.ok(limited.length > 0 && limited.length < OVER_THE_LIMIT, `${limited.length} limited`);
    const [first] = limited;
    assert.equal(first?.body.error, "RATE_LIMITED");
    assert.ok(Number(first.headers["retry-after"]) >= 1);
    assert.equal(first.headers["ratelimit-limit"], "40");
    assert.equal(first.headers["ratelimit-remaining"], "0");
  });

  it("reads a body the ordinary way, with the same answers", async () => {
    const sale = await openSale(shop);
    const buyer = await oneCustomer();
    const path = `${SALES}/${sale.id}/orders`;
    assert.equal((await buyer.post(path, { quantity: 2 })).body.error, "VALIDATION_FAILED");
    assert.equal((await buyer.post(`${path}?x=1`)).body.error, "VALIDATION_FAILED");
    const { status, data } = await buyer.post<Bought>(path, {});
    assert.equal(status, 202);
    assert.deepEqual(Object.keys(data).sort(), ["order_id", "status"]);
  });

  it("tells winners their orders after the sell-out, sells what comes back, and asks nobody about the rest", async () => {
    const sale = await openSale(shop, { quantity: 2 });
    await whenKnown(shop, sale.id);
    const [winner, quitter, loser] = [
      await oneCustomer(),
      await oneCustomer(),
      await oneCustomer(),
    ];
    const orderId = await bought(winner, sale);
    const quitted = await bought(quitter, sale);
    await eventually(
      async () => {
        const before = await admissions();
        for (let n = 0; n < ASKED_AGAIN; n += 1) {
          const answer = await buy(await nextLoser(), sale.id);
          assert.equal(slugOf(answer), "SECKILL_SOLD_OUT");
        }
        return (await admissions()) - before < ASKED_AGAIN;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "losers are refused by the gateway alone" },
    );
    const again = await buy(winner, sale.id);
    assert.deepEqual(again.body.details, { order_id: orderId });
    await eventually(
      async () => (await quitter.post(`${API}/orders/${quitted}/cancel`)).status === 200,
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the order can be cancelled", intervalMs: 150 },
    );
    assert.notEqual(await bought(loser, sale), orderId);
  });

  let losers: HttpClient[] = [];
  async function nextLoser(): Promise<HttpClient> {
    if (losers.length === 0) losers = await shop.madeUpCustomers(1_000);
    return losers.pop()!;
  }

  /** Batches of buyers that the gateway has handed to the sale so far. */
  async function admissions(): Promise<number> {
    return total(await scrape(shop.environment["DATA_DIR"] ?? ""), "moleculer_req_total", {
      action: "seckill.admit",
    });
  }
});
