// A flash sale from the outside: drafted by an admin, stormed by a crowd, paid, given up, closed, and
// checked by anybody.
import assert from "node:assert/strict";
import type { Sale, SaleAudit } from "../../services/contracts/seckill.ts";
import { eventually } from "../support/eventually.ts";
import type { Answer, HttpClient } from "../support/http-client.ts";
import { API, openShop, SETTLE_TIMEOUT_MS, type Shop } from "../support/shop.ts";

const BUYERS = 300;
const UNITS = 30;
const SALES = `${API}/seckill/sales`;
const HOUR_MS = 3_600_000;

interface Bought {
  readonly order_id?: string;
  readonly status: string;
}

describe("a flash sale", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });

  after(() => shop.expectInvariants());

  const saleOf = async (quantity: number, stock = quantity): Promise<Sale> => {
    const { skuId } = await shop.product(stock);
    const draft = await shop.admin.create<Sale>(SALES, {
      sku_id: skuId,
      price: 100,
      quantity,
      per_user_limit: 1,
      start_at: new Date(Date.now() - 1_000).toISOString(),
      end_at: new Date(Date.now() + HOUR_MS).toISOString(),
    });
    assert.deepEqual([draft.status, draft.data.status], [201, "draft"]);
    const published = await shop.admin.post<Sale>(`${SALES}/${draft.data.id}/publish`);
    assert.equal(published.status, 200, JSON.stringify(published.body));
    assert.equal(published.data.status, "open");
    return published.data;
  };
  const buy = (buyer: HttpClient, id: string): Promise<Answer<Bought>> =>
    buyer.post<Bought>(`${SALES}/${id}/orders`);
  const audited = (id: string): Promise<SaleAudit> =>
    eventually(
      async () => {
        const { status, data } = await shop.visitor().get<SaleAudit>(`${SALES}/${id}/audit`);
        assert.equal(status, 200);
        return data.orders["queued"] === undefined ? data : undefined;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the sale is quiet", intervalMs: 200 },
    );
  const whenMine = (buyer: HttpClient, id: string, status: string): Promise<unknown> =>
    eventually(
      async () => (await buyer.get<Bought>(`${SALES}/${id}/orders/mine`)).data.status === status,
      { timeoutMs: SETTLE_TIMEOUT_MS, what: `the buyer's attempt is ${status}`, intervalMs: 150 },
    );

  it(`sells ${String(UNITS)} units to exactly ${String(UNITS)} of ${String(BUYERS)} buyers`, async () => {
    const sale = await saleOf(UNITS);
    const buyers = await shop.madeUpCustomers(BUYERS);
    const answers = await Promise.all(buyers.map((buyer) => buy(buyer, sale.id)));
    const sold = answers.filter(
      ({ status, data }) => status === 202 && data.order_id !== undefined,
    );
    const refused = answers.filter(({ body }) => body.error === "SECKILL_SOLD_OUT");
    assert.deepEqual([sold.length, refused.length], [UNITS, BUYERS - UNITS]);
    const winner = answers.findIndex(({ status }) => status === 202);
    const orderId = answers[winner]?.data.order_id ?? "";
    const again = await buy(buyers[winner]!, sale.id);
    assert.equal(again.body.error, "SECKILL_ALREADY_PURCHASED");
    assert.deepEqual(again.body.details, { order_id: orderId });
    const shown = await buyers[winner]!.get<Bought>(`${API}/orders/${orderId}`);
    assert.equal(shown.status, 200);
    assert.ok(["queued", "pending_payment"].includes(shown.data.status));
    const stranger = await buyers[winner === 0 ? 1 : 0]!.get(`${API}/orders/${orderId}`);
    assert.equal(stranger.status, 404);
    const audit = await audited(sale.id);
    assert.deepEqual([audit.live, audit.holds, audit.offending], [UNITS, true, []]);
  });

  it("lets winners pay, sells what is not paid in time again, and gives the rest back", async () => {
    const sale = await saleOf(2, 3);
    const [payer, sleeper] = [await shop.customer(), await shop.customer()];
    const paid = await buy(payer, sale.id);
    assert.equal((await buy(sleeper, sale.id)).status, 202);
    await whenMine(payer, sale.id, "pending_payment");
    await shop.paid(payer, paid.data.order_id ?? "");
    await whenMine(sleeper, sale.id, "cancelled");
    await eventually(
      async () => (await shop.visitor().get<Sale>(`${SALES}/${sale.id}`)).data.remaining === 1,
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the unit is on sale again", intervalMs: 150 },
    );
    const closed = await shop.admin.post<Sale>(`${SALES}/${sale.id}/close`);
    assert.ok(
      closed.status === 200 || closed.data.status === "closing",
      JSON.stringify(closed.body),
    );
    await shop.whenStock(sale.sku_id, { available: 2, allotted: 0, on_hand: 2 });
    const audit = await audited(sale.id);
    assert.deepEqual([audit.live, audit.given_back, audit.returned], [1, 1, 1]);
    assert.ok(audit.holds, JSON.stringify(audit));
  });

  it("is refused where it must be", async () => {
    const visitor = shop.visitor();
    assert.equal((await visitor.get(`${SALES}/999`)).body.error, "SECKILL_SALE_NOT_FOUND");
    const buyer = await shop.customer();
    assert.equal((await buyer.create(SALES, {})).status, 403);
    const sale = await saleOf(1);
    assert.equal((await visitor.post(`${SALES}/${sale.id}/orders`)).status, 401);
    assert.equal((await buy(buyer, "999")).body.error, "SECKILL_SALE_NOT_FOUND");
    const body = { sku_id: sale.sku_id, price: 1, quantity: 1, per_user_limit: 2 };
    assert.equal((await shop.admin.create(SALES, body)).status, 422);
  });
});
