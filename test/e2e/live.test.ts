// A sale as people watch it: the stream of its events, and the page that shows it in a real browser.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Sale } from "../../services/contracts/seckill.ts";
import { openWatchedPage, type WatchedPage } from "../support/browser.ts";
import { EventReader } from "../support/event-stream.ts";
import { eventually } from "../support/eventually.ts";
import { buy, openSale, SALES, whenKnown } from "../support/open-sale.ts";
import { openShop, SETTLE_TIMEOUT_MS, type Shop, startShop } from "../support/shop.ts";

const STREAMS_PER_ADDRESS_MAX = 20;
const STEP_TIMEOUT_MS = 15_000;
const PHONE = { width: 360, height: 740 } as const;

const streamUrl = (shop: Shop, saleId: string): string => `${shop.url}${SALES}/${saleId}/events`;
const from = (address: string) => ({ "x-forwarded-for": address });

describe("the events of a sale", function () {
  this.timeout(120_000);
  let shop: Shop;
  const readers: EventReader[] = [];
  const open = async (url: string, headers: Record<string, string>): Promise<EventReader> => {
    const reader = await EventReader.open(url, headers);
    readers.push(reader);
    return reader;
  };

  before(async () => {
    shop = await openShop();
  });
  afterEach(() => {
    for (const reader of readers.splice(0)) reader.close();
  });

  it("tell everybody what is left, and the buyer what became of his attempt", async () => {
    const sale = await openSale(shop, { quantity: 2 });
    await whenKnown(shop, sale.id);
    const buyer = await shop.customer();
    const url = streamUrl(shop, sale.id);
    const [visitor, own] = await Promise.all([
      open(url, from("10.9.0.1")),
      open(url, { ...from("10.9.0.2"), authorization: `Bearer ${buyer.pair.access_token}` }),
    ]);
    const first = await visitor.when("message");
    assert.deepEqual(
      [first.data["sale_id"], first.data["status"], first.data["remaining"], first.data["sold"]],
      [sale.id, "open", 2, 0],
    );
    await own.when("mine", ({ status }) => status === "none");
    const { data } = await buy(buyer, sale.id);
    await visitor.when("message", ({ remaining, sold }) => remaining === 1 && sold === 1);
    await visitor.when("figures", ({ arrived }) => Number(arrived) >= 1);
    await visitor.when("orders", ({ pending_payment: pending }) => pending === 1);
    const mine = await own.when("mine", ({ status }) => status === "pending_payment");
    assert.equal(mine.data["order_id"], data.order_id);
    await own.when("mine", ({ status }) => status === "cancelled");
    assert.ok(visitor.events.every(({ name }) => name !== "mine"));
  });

  it("are refused to a wrong token, for an unknown sale, and to one address beyond its share", async () => {
    const sale = await openSale(shop);
    const url = streamUrl(shop, sale.id);
    const forged = { ...from("10.9.1.1"), authorization: "Bearer a.b.c" };
    assert.equal((await open(url, forged)).status, 401);
    assert.equal((await open(streamUrl(shop, "999"), from("10.9.1.1"))).status, 404);
    assert.equal((await fetch(`${url}?x=1`)).status, 422);
    assert.equal((await fetch(url, { method: "HEAD" })).status, 200);
    const all = await Promise.all(
      Array.from({ length: STREAMS_PER_ADDRESS_MAX + 1 }, () => open(url, from("10.9.1.2"))),
    );
    const statuses = all.map(({ status }) => status).sort();
    assert.deepEqual([statuses[0], statuses.at(-2), statuses.at(-1)], [200, 200, 503]);
    for (const reader of all) reader.close();
    await eventually(async () => (await open(url, from("10.9.1.2"))).status === 200, {
      timeoutMs: STEP_TIMEOUT_MS,
      what: "the address may watch again",
      intervalMs: 100,
    });
  });

  it("end when the shop stops, and do not keep it from stopping", async () => {
    const own = await startShop();
    const sale = await openSale(own);
    const reader = await open(streamUrl(own, sale.id), from("10.9.2.1"));
    await reader.when("message");
    const stopping = performance.now();
    own.platform.child.kill("SIGTERM");
    await own.platform.exited;
    assert.ok(reader.isEnded);
    assert.ok(performance.now() - stopping < STEP_TIMEOUT_MS);
  });
});

describe("the live page", function () {
  this.timeout(240_000);
  let shop: Shop;
  let watched: WatchedPage;
  let page: Page;
  let sale: Sale;

  before(async () => {
    shop = await openShop();
    sale = await openSale(shop, { quantity: 3 });
    await whenKnown(shop, sale.id);
    watched = await openWatchedPage({
      origin: shop.url,
      viewport: PHONE,
      stepTimeoutMs: STEP_TIMEOUT_MS,
    });
    ({ page } = watched);
    await page.goto(`${shop.url}/live/${sale.id}`);
  });
  after(() => watched.close());

  const whenText = (selector: string, text: string): Promise<unknown> =>
    eventually(async () => (await page.locator(selector).innerText()) === text, {
      timeoutMs: SETTLE_TIMEOUT_MS,
      what: `${selector} says ${text}`,
    });

  it("shows the units that are left as they are sold", async () => {
    await whenText("#title", sale.title);
    await whenText("#remaining", "3");
    await whenText("#status", "open");
    const buyer = await shop.customer();
    assert.equal((await buy(buyer, sale.id)).status, 202);
    await whenText("#remaining", "2");
    await whenText('#funnel [data-name="let in"] dd:last-child', "1");
    await whenText('#funnel [data-name="orders"] dd:last-child', "1");
    await eventually(async () => /ms$/.test(await page.locator("#winners-p99").innerText()), {
      timeoutMs: STEP_TIMEOUT_MS,
      what: "the winner's time is shown",
    });
  });

  it("says why people were refused and what happened", async () => {
    const answer = await buy(shop.visitor(), sale.id);
    assert.equal(answer.status, 401);
    await page.locator('#refusals [data-name="auth required"]').first().waitFor();
    assert.match(await page.locator("#log").innerText(), /open, 3 units left/);
  });

  it("fits a phone without scrolling sideways", async () => {
    const width = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(width) <= PHONE.width, `${String(width)} px wide`);
  });

  it("breaks no rule of its own policy and loads nothing from elsewhere", () => {
    assert.deepEqual(watched.complaints, []);
    assert.deepEqual(watched.elsewhere, []);
  });

  it("is there for numbers only", async () => {
    assert.equal((await fetch(`${shop.url}/live/nothing`)).status, 404);
  });
});
