// The operations page as an operator uses it, in a real browser of a phone's width: signed out, signed in as
// somebody else, and as an admin with something to look at.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createConnection } from "mysql2/promise";
import type { Page } from "playwright-core";
import type { NodeView } from "../../services/contracts/gateway.ts";
import { openWatchedPage, type WatchedPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { buy, openSale } from "../support/open-sale.ts";
import {
  ADMIN_EMAIL,
  ADMIN_PASSWORD,
  API,
  CUSTOMER_PASSWORD,
  SETTLE_TIMEOUT_MS,
  type Shop,
  startShop,
} from "../support/shop.ts";

const STEP_TIMEOUT_MS = 20_000;
const PHONE = { width: 360, height: 740 } as const;
const NODES = 3;
const REASON = "a test of the page";

describe("the operations page", function () {
  this.timeout(240_000);
  let shop: Shop;
  let watched: WatchedPage;
  let page: Page;

  before(async () => {
    shop = await startShop();
    watched = await openWatchedPage({
      origin: shop.url,
      viewport: PHONE,
      stepTimeoutMs: STEP_TIMEOUT_MS,
      // Refused sign-ins are errors of the console too.
      isComplaint: (message) => /Content.Security.Policy/i.test(message.text()),
    });
    ({ page } = watched);
    page.on("dialog", (dialog) => void dialog.accept(REASON));
    await page.goto(`${shop.url}/ops`);
  });
  after(async () => {
    await watched.close();
    shop.platform.child.kill("SIGTERM");
    await shop.platform.exited;
  });

  const whenText = (selector: string, form: RegExp): Promise<unknown> =>
    eventually(
      async () => {
        assert.match(await page.locator(selector).innerText(), form);
        return true;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: `${selector} says ${String(form)}` },
    );

  async function signIn(email: string, password: string): Promise<void> {
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  }

  /** A dead letter of inventory whose event, once it is replayed, changes nothing any more. */
  async function plantDeadLetter(): Promise<string> {
    const { product, skuId } = await shop.product(1);
    const { MYSQL_URL: url = "", NAMESPACE: namespace = "shop" } = shop.environment;
    const eventId = `product.${String(900_000 + Math.floor(Date.now() % 1_000_000))}`;
    const message = JSON.stringify({
      event_id: eventId,
      aggregate_id: product.id,
      aggregate_version: 1,
      occurred_at: new Date().toISOString(),
      payload: { product_id: product.id, skus: [{ sku_id: skuId, stock: 1 }] },
    });
    const connection = await createConnection(url);
    const [result] = await connection.execute(
      `INSERT INTO \`${namespace}_inventory\`.dead_letters
         (consumer, event_id, event_name, payload, headers, error, tries)
       VALUES ('inventory', ?, 'product.created.v1', ?, '{}', 'Error: <b>planted</b>', 8)`,
      [eventId, message],
    );
    await connection.end();
    return `inventory-${String((result as { insertId: number }).insertId)}`;
  }

  it("shows nothing to whoever is not signed in as an admin", async () => {
    assert.ok(!(await page.locator("#nodes").isVisible()));
    const buyer = await shop.customer();
    await signIn(buyer.email, "this is not the password");
    await whenText("#sign-in-fault", /\S/);
    await signIn(buyer.email, CUSTOMER_PASSWORD);
    await whenText("#sign-in-fault", /no admin/);
    assert.ok(!(await page.locator("#nodes").isVisible()));
    assert.equal((await buyer.get(`${API}/admin/nodes`)).status, 403);
    assert.equal((await shop.admin.get(`${API}/admin/nodes?${randomUUID()}=1`)).status, 422);
  });

  it("shows every node, what it is asked for and that all is well", async () => {
    // Already signed in when a busy machine makes this test begin again.
    if (await page.getByLabel("E-mail").isVisible()) await signIn(ADMIN_EMAIL, ADMIN_PASSWORD);
    const up = page.locator('#nodes .tile .pill[data-state="good"]');
    await eventually(async () => (await up.count()) === NODES, {
      timeoutMs: SETTLE_TIMEOUT_MS,
      what: "every node is up",
    });
    await whenText("#routes", /GET \/admin\/nodes/);
    await whenText("#actions", /auditor\.backlogs/);
    await whenText("#pools", /every pool/);
    await whenText("#backlogs", /place-order/);
    await whenText("#invariants", /All \d+ hold/);
    await whenText("#health", /all is well/);
  });

  it("follows a flash sale", async () => {
    const sale = await openSale(shop, { quantity: 2 });
    assert.equal((await buy(await shop.customer(), sale.id)).status, 202);
    await whenText(`[data-sale="${sale.id}"]`, /open[\s\S]*1 of 2 sold/);
    assert.equal(
      await page.locator(`[data-sale="${sale.id}"] a`).getAttribute("href"),
      `/live/${sale.id}`,
    );
  });

  it("pauses a sale and lets it go on, with the reason for the record", async () => {
    const sale = await openSale(shop, { quantity: 2 });
    const entry = page.locator(`[data-sale="${sale.id}"]`);
    await entry.getByRole("button", { name: "Pause" }).click();
    const name = `[data-switch="pause_sale ${sale.id}"]`;
    await whenText(name, new RegExp(`on[\\s\\S]*by admin: ${REASON}`));
    await whenText("#troubles", /The switch pause sale [\s\S]*Runbook: A switch is on/);
    await page.locator(name).getByRole("button", { name: "Turn off" }).click();
    await whenText(name, /\boff\b/);
    await whenText("#health", /all is well/);
  });

  it("says what needs somebody, and lets him replay and discard dead letters", async () => {
    const [replayed, discarded] = [await plantDeadLetter(), await plantDeadLetter()];
    await whenText("#troubles", /2 dead letters of inventory[\s\S]*Runbook: Dead letters/);
    await whenText("#health", /1 to look at/);
    const letter = (id: string) => page.locator(`[data-letter="${id}"]`);
    assert.match(await letter(replayed).innerText(), /<b>planted<\/b>/);
    await letter(replayed).getByRole("button", { name: "Replay" }).click();
    await letter(replayed).waitFor({ state: "detached" });
    await letter(discarded).getByRole("button", { name: "Discard" }).click();
    await letter(discarded).waitFor({ state: "detached" });
    await whenText("#dead-letters", /There is none/);
    await whenText("#health", /all is well/);
    const letters = await shop.admin.get<{ items: { id: string; status: string }[] }>(
      `${API}/admin/dead-letters`,
    );
    const statusOf = (id: string) => letters.data.items.find((one) => one.id === id)?.status;
    assert.deepEqual([statusOf(replayed), statusOf(discarded)], ["replayed", "discarded"]);
  });

  it("shows a node that has stopped answering, and goes on showing the others", async () => {
    const pid = shop.platform.pidOf("worker");
    process.kill(pid, "SIGSTOP");
    try {
      await whenText('#nodes .tile[data-node^="worker"]', /silent|gone/);
      await whenText('#nodes .tile[data-node^="edge"]', /up for/);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await whenText('#nodes .tile[data-node^="worker"]', /up for/);
    const { data } = await shop.admin.get<{ items: NodeView[] }>(`${API}/admin/nodes`);
    assert.ok(data.items.every(({ services }) => services.includes("node")));
  });

  it("fits a phone without scrolling sideways", async () => {
    const width = await page.evaluate("document.documentElement.scrollWidth");
    assert.ok(Number(width) <= PHONE.width, `${String(width)} px wide`);
  });

  it("breaks no rule of its own policy and loads nothing from elsewhere", () => {
    assert.deepEqual(watched.complaints, []);
    assert.deepEqual(watched.elsewhere, []);
  });

  it("forgets who was signed in", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    assert.ok(!(await page.locator("#nodes").isVisible()));
    await page.reload();
    assert.ok(await page.getByLabel("E-mail").isVisible());
  });
});
