// The documentation page as a reader sees it, in a real browser: drawn, allowed by its own policy, and
// able to ask the shop.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import { openWatchedPage, type WatchedPage } from "../support/browser.ts";
import { API, openShop, type Shop } from "../support/shop.ts";

const STEP_TIMEOUT_MS = 15_000;

describe("the documentation page", function () {
  this.timeout(240_000);
  let shop: Shop;
  let watched: WatchedPage;
  let page: Page;

  before(async () => {
    shop = await openShop();
    watched = await openWatchedPage({
      origin: shop.url,
      viewport: { width: 1_280, height: 1_600 },
      stepTimeoutMs: STEP_TIMEOUT_MS,
    });
    ({ page } = watched);
    await page.goto(`${shop.url}/docs`);
    await page.locator(".opblock").first().waitFor();
  });
  after(() => watched.close());

  it("shows every operation", async () => {
    assert.equal(await page.locator(".opblock").count(), publicRoutes().length);
    assert.match(await page.locator(".info .title").innerText(), /commerce platform/);
  });

  it("asks the shop and shows its answer", async () => {
    const operation = page.locator(`.opblock-get:has([data-path="${API}/products"])`);
    await operation.locator(".opblock-summary").click();
    await operation.getByRole("button", { name: "Execute" }).click();
    const answer = operation.locator(".live-responses-table .response").first();
    await answer.waitFor();
    assert.match(await answer.locator(".response-col_status").innerText(), /^200/);
    assert.match(await answer.innerText(), /"page_size": 20/);
    assert.match(
      await operation.locator(".request-url").innerText(),
      new RegExp(`${API}/products`),
    );
  });

  it("breaks no rule of its own policy and loads nothing from elsewhere", () => {
    assert.deepEqual(watched.complaints, []);
    assert.deepEqual(watched.elsewhere, []);
  });
});
