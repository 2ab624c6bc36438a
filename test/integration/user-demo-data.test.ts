import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { DEMO_CUSTOMERS, DEMO_PRODUCTS } from "../../scripts/demo/catalogue.ts";
import { must } from "../../services/kernel/assert.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { environmentOf, type UserNode, userNode } from "../support/user.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const SCRIPT = resolve(import.meta.dirname, "../../scripts/demo-data.ts");
const DEMO_PASSWORD = randomBytes(12).toString("hex");

describe("demo data", () => {
  let schemas: TestDatabase;
  let shop: UserNode;
  let fill: () => Promise<string>;

  before(async () => {
    schemas = await testDatabase({ services: ["user", "product", "inventory"] });
    const overrides = {
      SERVICES: "gateway,user,product,inventory",
      PORT: String(await findFreePort()),
    };
    shop = await userNode(schemas, { overrides });
    const environment = { ...(await environmentOf(schemas)), ...overrides, DEMO_PASSWORD };
    fill = async () => {
      const env = { PATH: process.env["PATH"], ...environment };
      return (await promisify(execFile)(process.execPath, [SCRIPT], { env })).stdout.trim();
    };
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  const products = () => shop.as({}, "product.list", { page_size: 100 });

  it("fills an empty shop with listed products in stock and customers who can sign in", async () => {
    const startedAt = performance.now();
    await fill();
    const tookMs = Math.round(performance.now() - startedAt);
    const { items, total } = await products();
    assert.equal(total, DEMO_PRODUCTS.length);
    const skuIds = items.flatMap((item) => item.skus.map((sku) => sku.id));
    const stock = await shop.as({}, "inventory.availability", { sku_ids: skuIds });
    assert.equal(stock.items.length, skuIds.length);
    assert.ok(stock.items.every((item) => item.available > 0));
    for (const { email } of DEMO_CUSTOMERS) {
      const session = await shop.as({}, "user.login", { email, password: DEMO_PASSWORD });
      const book = await shop.as({ token: session.access_token }, "user.listAddresses", {});
      assert.equal(book.total, 1);
    }
    console.log(`      filled in ${tookMs} ms`);
  });

  it("leaves a filled shop as it is", async () => {
    assert.match(await fill(), /^kept/);
    assert.equal((await products()).total, DEMO_PRODUCTS.length);
  });

  it("completes a shop that was filled half", async () => {
    const schema = schemas.nameOf("product");
    const { items } = await products();
    const gone = must(items[0], "a product");
    for (const [table, column] of [
      ["skus", "product_id"],
      ["products", "id"],
    ]) {
      await schemas.admin.query(`DELETE FROM ${schema}.${table ?? ""} WHERE ${column ?? ""} = ?`, [
        gone.id,
      ]);
    }
    await schemas.admin.query(`DELETE FROM ${schema}.idempotency_keys`);
    await fill();
    const after = await products();
    assert.deepEqual(
      after.items.map((item) => item.name).sort(),
      DEMO_PRODUCTS.map((product) => product.name).sort(),
    );
  });
});
