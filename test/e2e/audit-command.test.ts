// `npm run audit` against a running shop: PASS, FAIL with the row, and certificates that anybody can check.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import type { SaleCertificate } from "../../services/contracts/sale-audit.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import { canonicalJson } from "../../mixins/signing/canonical-json.ts";
import { eventually } from "../support/eventually.ts";
import {
  API,
  type CommandResult,
  openShop,
  SETTLE_TIMEOUT_MS,
  type Shop,
} from "../support/shop.ts";
import { tempFolder } from "../support/temp-folder.ts";

const SALES = `${API}/seckill/sales`;
const HOUR_MS = 3_600_000;
const WINNERS = 3;

describe("the audit command", function () {
  this.timeout(120_000);
  let shop: Shop;
  let sale: Sale;
  const folder = tempFolder();
  const file = join(folder, "sale.json");

  before(async () => {
    shop = await openShop();
    const { skuId } = await shop.product(WINNERS);
    const draft = await shop.admin.create<Sale>(SALES, {
      sku_id: skuId,
      price: 100,
      quantity: WINNERS,
      start_at: new Date(Date.now() - 1_000).toISOString(),
      end_at: new Date(Date.now() + HOUR_MS).toISOString(),
    });
    sale = (await shop.admin.post<Sale>(`${SALES}/${draft.data.id}/publish`)).data;
    for (const buyer of await shop.madeUpCustomers(WINNERS)) {
      await eventually(
        async () => {
          const { data } = await buyer.post<{ order_id?: string }>(`${SALES}/${sale.id}/orders`);
          const mine = await buyer.get<{ order_id?: string }>(`${SALES}/${sale.id}/orders/mine`);
          return data.order_id !== undefined || mine.data.order_id !== undefined;
        },
        { timeoutMs: SETTLE_TIMEOUT_MS, what: "the buyer has a unit", intervalMs: 200 },
      );
    }
  });

  const audit = (...args: readonly string[]): Promise<CommandResult> =>
    shop.command("scripts/audit/main.ts", args);
  const countOneTooMany = async (by: 1 | -1): Promise<void> => {
    const { MYSQL_URL: uri = "", NAMESPACE: namespace = "shop" } = shop.environment;
    const connection = await createConnection({ uri });
    try {
      await connection.query("UPDATE ??.sales SET granted = granted + ? WHERE id = ?", [
        `${namespace}_seckill`,
        by,
        sale.id,
      ]);
    } finally {
      await connection.end();
    }
  };

  it("passes a sale that holds and keeps a certificate of it", async () => {
    const { code, stdout, stderr } = await audit(sale.id, "--full", "--certificate", file);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /units of the sale +3\n/);
    assert.match(stdout, /PASS/);
    const verified = await audit("--verify", file);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /genuine[^]*PASS/);
  });

  it("keeps one that OpenSSL verifies, and refuses it once a figure is changed", async () => {
    const { certificate, signature } = JSON.parse(readFileSync(file, "utf8")) as SaleCertificate;
    const [signed, key, value] = ["signed.bin", "key.pem", "signature.bin"].map((name) =>
      join(folder, name),
    ) as [string, string, string];
    writeFileSync(signed, canonicalJson(certificate));
    writeFileSync(key, signature.public_key);
    writeFileSync(value, Buffer.from(signature.value, "base64"));
    const args = ["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", signed];
    const said = execFileSync("openssl", [...args, "-sigfile", value], { encoding: "utf8" });
    assert.match(said, /Verified Successfully/);
    const changed = join(folder, "changed.json");
    writeFileSync(changed, readFileSync(file, "utf8").replace('"quantity": 3', '"quantity": 2'));
    const refused = await audit("--verify", changed);
    assert.equal(refused.code, 1, refused.stdout + refused.stderr);
    assert.match(refused.stdout, /the signature is not that of what it says[^]*FAIL/);
  });

  it("fails a sale whose counter is wrong, with the figures", async () => {
    await countOneTooMany(1);
    try {
      const { code, stdout } = await audit(sale.id);
      assert.equal(code, 1, stdout);
      assert.match(stdout, /admissions ever = live \+ given back\n +4 <> [^]*FAIL/);
    } finally {
      await countOneTooMany(-1);
    }
    // Everybody shares a look of the last second, which may be the one that failed.
    await eventually(
      async () => {
        const { code, stdout, stderr } = await audit(sale.id);
        assert.equal(code, 0, stdout + stderr);
        return true;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: "the audit passes again", intervalMs: 200 },
    );
  });

  it("tells what it could not look at", async () => {
    const { code, stderr } = await audit("999");
    assert.equal(code, 2);
    assert.match(stderr, /SECKILL_SALE_NOT_FOUND/);
  });
});
