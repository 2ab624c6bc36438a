// What a buyer is told of his attempts at a flash sale, whichever of two gateways he came to and asks.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Sale } from "../../services/contracts/seckill.ts";
import { Cluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { HttpClient } from "../support/http-client.ts";
import { buy, openSale, SALES, whenKnown } from "../support/open-sale.ts";
import { API, SETTLE_TIMEOUT_MS, Shop, signedInAdmin } from "../support/shop.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const SHOP =
  "gateway,user,product,inventory,order,payment,seckill,operations,provider,auditor," +
  "user-worker,product-worker,inventory-worker,order-worker,payment-worker,seckill-worker";

const APART_MS = 5;

interface Told {
  readonly at: string;
  readonly what: string;
  readonly details: Readonly<Record<string, unknown>>;
}

describe("the story of a buyer", function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let shop: Shop;
  let otherUrl: string;

  before(async () => {
    cluster = await Cluster.create();
    const node = await cluster.start({ name: "shop", services: SHOP });
    await cluster.ready(node);
    const settings = { PORT: String(await findFreePort()) };
    const other = await cluster.start({ name: "gateway", services: "gateway", settings });
    await cluster.ready(other);
    otherUrl = other.url;
    shop = new Shop({ url: node.url, admin: await signedInAdmin(node.url) });
    // A node tells the others of its services a second after it has started.
    await eventually(
      async () => {
        const { data } = await shop.admin.get<{ items: unknown[] }>(`${API}/admin/nodes`);
        return data.items.length === 2;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the gateways know each other" },
    );
  });
  after(() => cluster.stop());

  /** The same person at the other gateway. */
  const elsewhere = ({ token }: HttpClient): HttpClient => new HttpClient(otherUrl, token);

  async function storyAt(client: HttpClient, saleId: string): Promise<readonly Told[]> {
    const path = `${SALES}/${saleId}/orders/mine?explain=true`;
    const { status, data, body } = await client.get<{ story: Told[] }>(path);
    assert.equal(status, 200, JSON.stringify(body));
    return data.story;
  }

  /** Stories tell whole milliseconds: within one, two gateways' answers have no order. */
  const apart = (): Promise<void> => delay(APART_MS);

  /** A decided answer of the fast lane; a shop that is busy is asked again. */
  async function ask(client: HttpClient, saleId: string): Promise<string> {
    return await eventually(
      async () => {
        const requestId = randomUUID();
        const { status } = await buy(client, saleId, { "x-request-id": requestId });
        return status === 503 ? undefined : requestId;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the buyer is answered", intervalMs: 100 },
    );
  }

  async function soldOutTo(quantity: number): Promise<{ sale: Sale; winner: HttpClient }> {
    const sale = await openSale(shop, { quantity });
    await whenKnown(shop, sale.id);
    const other = new HttpClient(otherUrl);
    await eventually(
      async () => (await buy(other, sale.id)).headers["ratelimit-limit"] === undefined,
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the other gateway knows the sale", intervalMs: 50 },
    );
    const winner = await shop.customer();
    await ask(winner, sale.id);
    return { sale, winner };
  }

  it("tells who was refused when and why, at every gateway and on either way", async () => {
    const { sale } = await soldOutTo(1);
    const loser = await shop.customer();
    const here = await ask(loser, sale.id);
    await apart();
    const there = await ask(elsewhere(loser), sale.id);
    await apart();
    // With a body a request is not for the fast lane.
    const { status, headers } = await loser.send("POST", `${SALES}/${sale.id}/orders`, {
      body: {},
    });
    assert.equal(status, 409);
    const ordinary = headers["x-request-id"];
    for (const client of [loser, elsewhere(loser)]) {
      const story = await storyAt(client, sale.id);
      const refusals = story.filter(({ what }) => what === "was refused");
      const told = refusals.map(({ details }) => [details["request_id"], details["reason"]]);
      const attempts = [here, there, ordinary];
      assert.deepEqual(
        told,
        attempts.map((id) => [id, "SECKILL_SOLD_OUT"]),
      );
      const arrivals = story.filter(({ what }) => what === "asked for a unit");
      assert.deepEqual(
        arrivals.map(({ details }) => details["request_id"]),
        attempts,
      );
      arrivals.forEach(({ at }, index) => {
        assert.ok(at <= (refusals[index]?.at ?? ""), "nobody is refused before he comes");
      });
    }
  });

  it("tells a winner his admission, his order and his payments, from whoever knows them", async () => {
    const { sale, winner } = await soldOutTo(1);
    const mine = await winner.get<{ order_id: string }>(`${SALES}/${sale.id}/orders/mine`);
    const orderId = mine.data.order_id;
    await shop.whenOrder(winner, orderId, "pending_payment");
    const payment = await shop.paid(winner, orderId);
    const story = await storyAt(winner, sale.id);
    const words = story.map(({ what }) => what);
    const inOrder = [
      "asked for a unit",
      "let into the sale",
      "the order is pending_payment",
      "a payment was opened",
      "the provider says that it was paid",
      "the order is paid",
    ];
    assert.deepEqual(
      words.filter((word) => inOrder.includes(word)),
      inOrder,
      words.join("; "),
    );
    assert.ok(words.includes("was promised an order"), words.join("; "));
    const opened = story.find(({ what }) => what === "a payment was opened");
    const { id, amount, channel } = payment;
    assert.deepEqual(opened?.details, { payment_id: id, channel, amount, reason: null });
    const paid = story.find(({ what }) => what === "the provider says that it was paid");
    assert.equal(paid?.details["reason"], "captured");
  });

  it("tells that a unit was given back", async () => {
    const { sale, winner } = await soldOutTo(2);
    const mine = await winner.get<{ order_id: string }>(`${SALES}/${sale.id}/orders/mine`);
    await shop.whenOrder(winner, mine.data.order_id, "pending_payment");
    await winner.post(`${API}/orders/${mine.data.order_id}/cancel`);
    const story = await eventually(
      async () => {
        const told = await storyAt(winner, sale.id);
        return told.some(({ what }) => what === "the unit was given back") ? told : undefined;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the unit is given back", intervalMs: 100 },
    );
    assert.ok(story.some(({ what }) => what === "the order is cancelled"));
  });

  it("tells nobody of another buyer, and nothing that was not asked for", async () => {
    const { sale, winner } = await soldOutTo(1);
    const stranger = await shop.customer();
    assert.deepEqual(await storyAt(stranger, sale.id), []);
    const { data } = await winner.get<object>(`${SALES}/${sale.id}/orders/mine`);
    assert.ok(!("story" in data));
  });
});
