// Every question of every dashboard, put to a real Prometheus that watches the running shop through a small
// sale: whatever the sale touches must show it.
import assert from "node:assert/strict";
import { DASHBOARDS } from "../../scripts/dashboards/dashboards.ts";
import { eventually } from "../support/eventually.ts";
import type { HttpClient } from "../support/http-client.ts";
import { type Bought, buy, openSale, SALES, whenKnown } from "../support/open-sale.ts";
import { INSTALL_TIMEOUT_MS } from "../support/program.ts";
import { TestPrometheus } from "../support/prometheus.ts";
import { API, openShop, SETTLE_TIMEOUT_MS, type Shop } from "../support/shop.ts";

/** Gauges are read every five seconds, then scraped, then rules are evaluated. */
const SHOWN_TIMEOUT_MS = 60_000;
const TARGETS = 3;
/** The fast lane takes the time of every 16th answer. */
const ONE_MEASURED_IN = 16;

describe("dashboards", function () {
  this.timeout(INSTALL_TIMEOUT_MS + 180_000);
  let shop: Shop;
  let prometheus: TestPrometheus;

  before(async () => {
    shop = await openShop();
    prometheus = await TestPrometheus.start(shop.environment["DATA_DIR"] ?? "");
    await trade();
    // A counter's first increase is seen from its second sample on.
    await whenScraped();
    await trade();
  });
  after(() => prometheus.stop());

  /** One of everything: a sale that sells out, orders paid, shipped, cancelled and refused. */
  async function trade(): Promise<void> {
    const sale = await openSale(shop, { quantity: 2 });
    const [payer, leaver, late] = await Promise.all([1, 2, 3].map(() => shop.customer()));
    assert.ok(payer !== undefined && leaver !== undefined && late !== undefined);
    await whenKnown(shop, sale.id);
    for (let seen = 0; seen <= ONE_MEASURED_IN; seen += 1) await buy(shop.visitor(), sale.id);
    const orderId = await bought(payer, sale.id);
    await bought(leaver, sale.id);
    await buy(late, sale.id);
    await shop.paid(payer, orderId);
    assert.equal((await shop.visitor().get(`${SALES}/${sale.id}/audit`)).status, 200);
    const { product, skuId } = await shop.product(2);
    for (let read = 0; read < 3; read += 1)
      await shop.visitor().get(`${API}/products/${product.id}`);
    const order = await shop.placed(payer, skuId);
    const other = await shop.placed(leaver, skuId);
    assert.equal((await shop.order(late, skuId)).body.error, "INVENTORY_OUT_OF_STOCK");
    await leaver.post(`${API}/orders/${other.id}/cancel`);
    await shop.paid(payer, order.id);
    assert.equal((await shop.admin.post(`${API}/orders/${order.id}/ship`)).status, 200);
  }

  /** The order's id; on a busy machine a buyer is told to wait first. */
  async function bought(buyer: HttpClient, saleId: string): Promise<string> {
    return await eventually(
      async () => {
        await buy(buyer, saleId);
        const { data } = await buyer.get<Bought>(`${SALES}/${saleId}/orders/mine`);
        return data.status === "pending_payment" ? data.order_id : undefined;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, intervalMs: 300, what: "the buyer has his order" },
    );
  }

  async function whenScraped(): Promise<void> {
    await eventually(
      async () => {
        const shipped = await prometheus.query(
          "min(count_over_time(app_shipping_success_total[5m]))",
        );
        const nodes = await prometheus.query('sum(up{job="platform"})');
        return (shipped[0]?.value ?? 0) >= 2 && nodes[0]?.value === TARGETS;
      },
      { timeoutMs: SHOWN_TIMEOUT_MS, intervalMs: 500, what: "the first sale is scraped twice" },
    );
  }

  for (const { title, panels } of DASHBOARDS) {
    it(`show the sale: ${title}`, async () => {
      const loud = panels.filter(({ isQuiet }) => isQuiet !== true);
      const questions = loud.flatMap(({ title: panel, queries }) =>
        queries.map(({ expr }) => ({ panel, expr })),
      );
      assert.ok(questions.length > 0);
      let silent: typeof questions = questions;
      await eventually(
        async () => {
          const answers = await Promise.all(
            silent.map(async (question) => ({
              question,
              samples: await prometheus.query(question.expr),
            })),
          );
          silent = answers
            .filter(({ samples }) => !samples.some(({ value }) => value > 0))
            .map(({ question }) => question);
          return silent.length === 0;
        },
        { timeoutMs: SHOWN_TIMEOUT_MS, intervalMs: 1_000, what: "every panel shows something" },
      ).catch((error: unknown) => {
        throw new Error(`nothing to see: ${JSON.stringify(silent, null, 1)}`, { cause: error });
      });
    });

    it(`ask what Prometheus understands: ${title}`, async () => {
      const quiet = panels.filter(({ isQuiet }) => isQuiet === true);
      for (const { expr } of quiet.flatMap(({ queries }) => queries)) await prometheus.query(expr);
    });
  }

  it("stand on rules that can be evaluated", async () => {
    const rules = await prometheus.rules();
    assert.ok(rules.length >= 40);
    assert.deepEqual(
      rules.filter(({ lastError = "" }) => lastError !== ""),
      [],
    );
  });

  it("would see a counter that nobody feeds", async () => {
    assert.deepEqual(await prometheus.query("sum(rate(app_nothing_total[5m]))"), []);
  });
});
