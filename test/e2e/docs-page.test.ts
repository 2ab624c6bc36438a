// The documentation page as a reader sees it, in a real browser: drawn, allowed by its own policy, and
// able to ask the shop.
import assert from "node:assert/strict";
import { type Browser, chromium, type Page } from "playwright-core";
import { findProgram } from "../../scripts/launcher/find-programs.ts";
import { installPrograms } from "../../scripts/launcher/install-programs.ts";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import { API, openShop, type Shop } from "../support/shop.ts";

const STEP_TIMEOUT_MS = 15_000;

/** Installed as the launcher installs servers; fails with the command to type where it may not. */
async function chromiumPath(): Promise<string> {
  const found = findProgram("chromium");
  if (found !== null) return found;
  await installPrograms(["chromium"]);
  const installed = findProgram("chromium");
  assert.ok(installed !== null);
  return installed;
}

describe("the documentation page", function () {
  this.timeout(240_000);
  let shop: Shop;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  const elsewhere: string[] = [];

  before(async () => {
    const executablePath = await chromiumPath();
    shop = await openShop();
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    page = await browser.newPage({ viewport: { width: 1_280, height: 1_600 } });
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(shop.url) && !request.url().startsWith("data:")) {
        elsewhere.push(request.url());
      }
    });
    await page.goto(`${shop.url}/docs`);
    await page.locator(".opblock").first().waitFor();
  });
  after(() => browser.close());

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
    assert.deepEqual(complaints, []);
    assert.deepEqual(elsewhere, []);
  });
});
