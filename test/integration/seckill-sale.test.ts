// A flash sale's life on real servers: drafted, published out of the stock, closed back into it.
import assert from "node:assert/strict";
import type { RowDataPacket } from "mysql2/promise";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { SECKILL_FAILPOINTS } from "../../services/seckill/failpoints.ts";
import { SALES_AT_ONCE_MAX } from "../../services/seckill/sale.repository.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createFaults, type Faults } from "../support/faults.ts";
import { assertInvariants } from "../support/invariants.ts";
import { ADMIN, newCustomer, type ShopNode, shopNode } from "../support/order-shop.ts";
import {
  admitAll,
  buyAs,
  customers,
  draftSale,
  openSale,
  SALE_SCHEMAS,
  SALE_UNITS,
  whenQuiet,
} from "../support/sale-shop.ts";

const RECOVERY_MS = 10_000;

describe("the life of a flash sale", function () {
  this.timeout(120_000);
  let schemas: TestDatabase;
  let shop: ShopNode;
  let faults: Faults;

  before(async () => {
    schemas = await testDatabase({ services: SALE_SCHEMAS });
    faults = createFaults();
    shop = await shopNode(schemas, { units: SALE_UNITS, failpoint: faults.failpoint });
  });
  after(async () => {
    await assertInvariants(schemas, { schemas: SALE_SCHEMAS });
    await shop.stop();
    await schemas.drop();
  });

  const whenStatus = (id: string, status: string): Promise<unknown> =>
    eventually(async () => (await shop.as(ADMIN, "seckill.getSale", { id })).status === status, {
      timeoutMs: RECOVERY_MS,
      what: `the sale is ${status}`,
    });

  it("takes its units out of the stock when it is published, once", async () => {
    const sale = await draftSale(shop, { stock: 30, quantity: 20 });
    assert.equal(sale.status, "draft");
    const published = await shop.as(ADMIN, "seckill.publish", { id: sale.id });
    assert.equal(published.status, "open");
    assert.equal((await shop.as(ADMIN, "seckill.publish", { id: sale.id })).status, "open");
    const stock = await shop.stockOf(sale.sku_id);
    assert.deepEqual([stock.available, stock.allotted, stock.on_hand], [10, 20, 30]);
  });

  it("stays a draft when there are too few units, and can be published later", async () => {
    const sale = await draftSale(shop, { stock: 5, quantity: 6 });
    await assert.rejects(shop.as(ADMIN, "seckill.publish", { id: sale.id }), (error) =>
      isPlatformError(error, "INVENTORY_OUT_OF_STOCK"),
    );
    assert.equal((await shop.as(ADMIN, "seckill.getSale", { id: sale.id })).status, "draft");
    await shop.as(ADMIN, "inventory.adjust", { sku_id: sale.sku_id, delta: 1, reason: "more" });
    assert.equal((await shop.as(ADMIN, "seckill.publish", { id: sale.id })).status, "open");
    assert.equal((await shop.stockOf(sale.sku_id)).allotted, 6);
  });

  for (const spot of [SECKILL_FAILPOINTS.publishAfterStart, SECKILL_FAILPOINTS.publishAfterAllot]) {
    it(`is published all the same when its node dies in between (${spot})`, async () => {
      const sale = await draftSale(shop, { stock: 9, quantity: 9 });
      void faults.crashOnce(spot);
      await assert.rejects(shop.as(ADMIN, "seckill.publish", { id: sale.id }));
      await whenStatus(sale.id, "open");
      const stock = await shop.stockOf(sale.sku_id);
      assert.deepEqual([stock.available, stock.allotted], [0, 9]);
    });
  }

  it("returns what was not sold when it is closed", async () => {
    const sale = await openSale(shop, { stock: 10, quantity: 8 });
    const users = customers(3);
    assert.ok((await admitAll(shop, sale.id, users)).every((one) => one.order_id !== null));
    await whenQuiet(shop, sale.id);
    const closed = await shop.as(ADMIN, "seckill.close", { id: sale.id });
    assert.equal(closed.status, "closed");
    const stock = await shop.stockOf(sale.sku_id);
    assert.deepEqual([stock.available, stock.allotted], [7, 3]);
    const audit = await shop.as(ADMIN, "seckill.audit", { id: sale.id });
    assert.deepEqual([audit.live, audit.returned, audit.holds], [3, 5, true]);
    const late = await buyAs(shop, sale.id, newCustomer());
    assert.equal(late.answer, "SECKILL_ENDED");
    const winner = await buyAs(shop, sale.id, users[0]!);
    assert.equal(winner.answer, "SECKILL_ALREADY_PURCHASED");
  });

  it("closes by itself two seconds after its end", async () => {
    const sale = await openSale(shop, {
      stock: 4,
      quantity: 4,
      end_at: new Date(Date.now() + 800).toISOString(),
    });
    await whenStatus(sale.id, "closed");
    assert.equal((await shop.stockOf(sale.sku_id)).available, 4);
  });

  it("is refused its publish while as many sales run as can", async () => {
    const [running, next] = [await openSale(shop), await draftSale(shop)];
    const table = [schemas.nameOf("seckill"), "sales"];
    const [rows] = await schemas.admin.query<RowDataPacket[]>("SELECT * FROM ??.?? WHERE id = ?", [
      ...table,
      running.id,
    ]);
    const columns = Object.keys(rows[0]!);
    // Of another strategy: no keeper touches what inventory has never heard of.
    const others = Array.from({ length: SALES_AT_ONCE_MAX }, (_, index) =>
      Object.values({ ...rows[0], id: index + 1, strategy: "database", mode: "db" }),
    );
    await schemas.admin.query("INSERT INTO ??.?? (??) VALUES ?", [...table, columns, others]);
    try {
      await assert.rejects(shop.as(ADMIN, "seckill.publish", { id: next.id }), (error) =>
        isPlatformError(error, "SECKILL_SALES_FULL"),
      );
      const again = await shop.as(ADMIN, "seckill.publish", { id: running.id });
      assert.equal(again.status, "open");
    } finally {
      await schemas.admin.query("DELETE FROM ??.?? WHERE id <= ?", [...table, SALES_AT_ONCE_MAX]);
    }
    assert.equal((await shop.as(ADMIN, "seckill.publish", { id: next.id })).status, "open");
  });

  it("refuses what its status does not allow", async () => {
    const sale = await draftSale(shop);
    await assert.rejects(shop.as(ADMIN, "seckill.close", { id: sale.id }), (error) =>
      isPlatformError(error, "SECKILL_ILLEGAL_TRANSITION"),
    );
    await assert.rejects(shop.as(ADMIN, "seckill.publish", { id: "999" }), (error) =>
      isPlatformError(error, "SECKILL_SALE_NOT_FOUND"),
    );
  });

  it("asks for a pass where the sale does", async () => {
    const sale = await openSale(shop, { pass_required: true });
    const buyer = newCustomer();
    assert.equal((await buyAs(shop, sale.id, buyer)).answer, "SECKILL_PASS_REQUIRED");
    const { pass } = await shop.as(buyer, "seckill.createPass", { id: sale.id });
    const headers = { seckill_pass: pass };
    await assert.rejects(shop.as(newCustomer(), "seckill.buy", { id: sale.id }, headers), (error) =>
      isPlatformError(error, "SECKILL_PASS_REQUIRED"),
    );
    const bought = await shop.as(buyer, "seckill.buy", { id: sale.id }, headers);
    assert.equal(bought.status, "queued");
  });
});
