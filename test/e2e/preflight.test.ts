// `npm run preflight` against a running shop, as an operator runs it before a sale.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import type { Product } from "../../services/contracts/product.ts";
import type { Sale } from "../../services/contracts/seckill.ts";
import type { PageOf } from "../../services/kernel/schema.ts";
import { SHADOW_PURCHASES } from "../../scripts/preflight/shadow-sale.ts";
import { eventually } from "../support/eventually.ts";
import { SOURCE_DIR } from "../support/launched-platform.ts";
import { openSale } from "../support/open-sale.ts";
import { API, openShop, type Shop } from "../support/shop.ts";

const WARM_TIMEOUT_MS = 30_000;

describe("the preflight of a sale", function () {
  this.timeout(180_000);
  let shop: Shop;
  let sale: Sale;

  before(async () => {
    shop = await openShop();
    sale = await openSale(shop, { startsInMs: 3_000_000 });
  });

  after(() => shop.expectInvariants());

  async function preflight(...args: string[]): Promise<{ code: number | null; table: string }> {
    const child = spawn(process.execPath, ["scripts/preflight/main.ts", ...args], {
      cwd: SOURCE_DIR,
      env: { ...process.env, DATA_DIR: shop.environment["DATA_DIR"], NO_COLOR: "1" },
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const [code, out, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    return { code, table: out + errors };
  }

  /** Other journeys of this shop leave events under way for a moment. */
  const whenGo = (...args: string[]) => {
    let last = "";
    return eventually(
      async () => {
        const { code, table } = await preflight(...args);
        last = table;
        return code === 0 ? table : undefined;
      },
      { timeoutMs: WARM_TIMEOUT_MS, what: "the preflight says go" },
    ).catch((error: unknown) => {
      throw new Error(last, { cause: error });
    });
  };

  it("says go with every finding, after a dry run that leaves nothing to buy", async () => {
    await whenGo(sale.id, "--no-dry-run");
    const table = await whenGo(sale.id);
    for (const what of [
      "gate",
      "clocks",
      "disk",
      "dead letters",
      "backlog",
      "limits",
      "switches",
    ]) {
      assert.match(table, new RegExp(`go +${what} `), table);
    }
    assert.match(table, new RegExp(`${SHADOW_PURCHASES} purchases of 50 units .* 50 won`));
    assert.match(table, /\(UTC\)|\([A-Z][A-Za-z_]+\/[A-Za-z_]+\)/, "both time zones");
    const { data } = await shop.visitor().get<PageOf<Product>>(`${API}/products?q=Preflight+drill`);
    assert.equal(data.total, 0);
  });

  it("says no go while the sale is paused, and why", async () => {
    const path = `${API}/admin/switches/pause_sale`;
    const body = { target: sale.id, is_on: true, reason: "wrong price" };
    await shop.admin.send("PUT", path, { body });
    try {
      const { code, table } = await preflight(sale.id, "--no-dry-run");
      assert.equal(code, 1, table);
      assert.match(table, /NO GO +switches +pause_sale .*wrong price/);
    } finally {
      await shop.admin.send("PUT", path, { body: { ...body, is_on: false } });
    }
  });

  it("says no go for a draft, and asks which sale when none is named", async () => {
    const draft = await shop.admin.create<Sale>(`${API}/seckill/sales`, {
      sku_id: sale.sku_id,
      price: 1,
      quantity: 1,
      start_at: sale.start_at,
      end_at: sale.end_at,
    });
    const { code, table } = await preflight(draft.data.id, "--no-dry-run");
    assert.equal(code, 1, table);
    assert.match(table, /NO GO +sale .*draft/);
    assert.equal((await preflight()).code, 2);
  });
});
