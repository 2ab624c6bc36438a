// Backup and restore as an operator does them: the backup while customers order, the restore with the
// platform stopped, and then the shop must be sound and must sell.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { readLine } from "../../scripts/backup/dump-format.ts";
import type { SaleAudit } from "../../services/contracts/seckill.ts";
import { eventually } from "../support/eventually.ts";
import { LaunchedPlatform, SOURCE_DIR } from "../support/launched-platform.ts";
import { buy, openSale, SALES } from "../support/open-sale.ts";
import { ADMIN_PASSWORD, API, Shop, signedInAdmin, startShop } from "../support/shop.ts";

const UNITS = 12;
const BOUGHT_BEFORE = 4;
const BOUGHT_AFTER = 3;
const EXIT_TIMEOUT_MS = 60_000;

describe("a backup", function () {
  this.timeout(300_000);

  async function command(name: string, dataDir: string, ...args: string[]) {
    const child = spawn(process.execPath, ["scripts/backup/main.ts", name, ...args], {
      cwd: SOURCE_DIR,
      env: { ...process.env, DATA_DIR: dataDir, ADMIN_PASSWORD },
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    return { code, said: out + errors };
  }

  async function boughtBy(shop: Shop, saleId: string, count: number): Promise<void> {
    const buyers = await shop.madeUpCustomers(UNITS * 2);
    // Each time the next ones: nobody buys twice in a sale.
    const next = buyers.slice(taken, (taken += count));
    for (const buyer of next) {
      await eventually(async () => (await buy(buyer, saleId)).status === 202, {
        timeoutMs: EXIT_TIMEOUT_MS,
        what: "the buyer has his unit",
        intervalMs: 300,
      });
    }
  }
  let taken = 0;

  it("made while customers order brings all of it back, and the shop sells on", async () => {
    // Unpaid units must not come back to the sale while a slow machine is at it.
    const shop = await startShop({ environment: { ORDER_PAYMENT_WINDOW_MS: "600000" } });
    const { environment } = shop;
    const dataDir = environment["DATA_DIR"] ?? "";
    const file = join(dataDir, "test-backup.sql.gz");
    const buyer = await shop.customer();
    const { skuId } = await shop.product(100_000);
    const paid = await shop.placed(buyer, skuId, 2);
    await shop.paid(buyer, paid.id);
    const sale = await openSale(shop, { quantity: UNITS });
    await boughtBy(shop, sale.id, BOUGHT_BEFORE);
    const ended = new AbortController();
    const orders = (async () => {
      while (!ended.signal.aborted) await shop.order(buyer, skuId);
    })();
    const made = await command("backup", dataDir, file);
    ended.abort();
    await orders;
    assert.equal(made.code, 0, made.said);
    const before = await shop.stock(skuId);
    await boughtBy(shop, sale.id, BOUGHT_AFTER);
    const late = await shop.placed(buyer, skuId);
    const refused = await command("restore", dataDir, file, "--yes");
    assert.equal(refused.code, 1);
    assert.match(refused.said, /running/);

    shop.platform.child.kill("SIGTERM");
    await shop.platform.exited;
    const restored = await command("restore", dataDir, file, "--yes");
    assert.equal(restored.code, 0, restored.said);
    assert.match(restored.said, /(\d+) of \1 invariants hold/);

    const platform = new LaunchedPlatform({
      dataDir,
      environment: restartEnvironment(environment),
    });
    const url = (await platform.open()).replace("localhost", "127.0.0.1");
    const again = new Shop({ url, platform, dataDir, admin: await signedInAdmin(url) });
    const status = async (id: string) => (await again.admin.get(`${API}/orders/${id}`)).status;
    assert.equal(await status(paid.id), 200);
    assert.equal(await status(late.id), 404, "what came after the backup is gone");
    assert.equal((await again.stock(skuId)).on_hand, before.on_hand);
    await again.expectInvariants();
    // The gate that knew of later buyers is gone: exactly the rest of the record is for sale.
    await boughtBy(again, sale.id, UNITS - BOUGHT_BEFORE);
    const [tooLate] = (await again.madeUpCustomers(UNITS * 2)).slice(-1);
    assert.ok(tooLate !== undefined);
    assert.equal((await buy(tooLate, sale.id)).body.error, "SECKILL_SOLD_OUT");
    await eventually(
      async () => {
        const { data } = await again.visitor().get<SaleAudit>(`${SALES}/${sale.id}/audit`);
        return data.holds && (data.orders["queued"] ?? 0) === 0 && data.remaining === 0;
      },
      { timeoutMs: EXIT_TIMEOUT_MS, what: "the sale adds up", intervalMs: 300 },
    );
    platform.child.kill("SIGTERM");
    await platform.exited;

    const lines = gunzipSync(readFileSync(file)).toString("utf8").trimEnd().split("\n");
    assert.ok(lines.map(readLine).some((line) => line.kind === "schema"));
    truncateSync(file, Math.floor(readFileSync(file).length / 2));
    const torn = await command("restore", dataDir, file, "--yes");
    assert.equal(torn.code, 1, "a torn file is refused");
    writeFileSync(file, "not gzip at all");
    assert.equal((await command("restore", dataDir, file, "--yes")).code, 1);
  });

  it("is never restored without being asked twice", async () => {
    const { code, said } = await command("restore", "/nonexistent-data", "some-file");
    assert.equal(code, 1);
    assert.match(said, /--yes|folder/);
  });
});

/** What the launcher was told at the first start; the rest it keeps itself. */
function restartEnvironment(environment: Shop["environment"]): Record<string, string> {
  const names = [
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "PAYMENT_WEBHOOK_SECRET",
    "JWT_SECRET",
    "TRUSTED_PROXIES",
    "ORDER_PAYMENT_WINDOW_MS",
  ];
  const kept = names.map((name) => [name, environment[name] ?? ""] as const);
  return { ...Object.fromEntries(kept), LAUNCHER_DEMO_DATA: "0" };
}
