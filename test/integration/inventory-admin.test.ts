// Stock as admins see and change it, and its ledger, on a real database.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { IdempotencyClaim } from "../../mixins/idempotency/idempotency.ts";
import {
  adjustStock,
  findLevel,
  listMovements,
  putStock,
} from "../../services/inventory/inventory.repository.ts";
import { type InventoryNode, inventoryNode, newId, open } from "../support/inventory.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

describe("stock as admins see it", () => {
  let schemas: TestDatabase;
  let node: InventoryNode;
  let sku: string;

  before(async () => {
    schemas = await testDatabase({ services: ["inventory"] });
    node = await inventoryNode(schemas);
  });
  beforeEach(async () => {
    sku = newId();
    await open(node.database, { skuId: sku, quantity: 10 });
    await node.reserver.reserve(newId(), [{ skuId: sku, quantity: 4 }]);
  });
  after(async () => {
    await node.close();
    await schemas.drop();
  });

  const put = (onHand: number, safetyStock?: number) =>
    putStock(node.database, { skuId: sku, onHand, safetyStock, adminId: "5" });
  const adjust = (delta: number, claim?: IdempotencyClaim) =>
    adjustStock(node.database, { skuId: sku, delta, reason: "counted", adminId: "5" }, claim);
  const claimOf = (fingerprint = "a"): IdempotencyClaim => ({
    userId: "5",
    route: "POST /inventory/:sku_id/adjustments",
    key: randomBytes(8).toString("hex"),
    fingerprint: fingerprint.repeat(64),
  });

  it("shows three buckets that add up to what is on hand", async () => {
    assert.deepEqual(await findLevel(node.database, sku), {
      sku_id: sku,
      on_hand: 10,
      reserved: 4,
      available: 6,
      allotted: 0,
      safety_stock: 0,
    });
    await assert.rejects(findLevel(node.database, newId()), { type: "SKU_NOT_FOUND" });
  });

  it("sets what is on hand without touching what is reserved", async () => {
    const { level } = await put(20, 3);
    assert.deepEqual(
      [level.on_hand, level.available, level.reserved, level.safety_stock],
      [20, 16, 4, 3],
    );
    assert.deepEqual((await put(4)).level.available, 0);
  });

  it("refuses to set less than what is reserved, and changes nothing then", async () => {
    await assert.rejects(put(3), { type: "INVENTORY_BELOW_RESERVED" });
    await assert.rejects(adjust(-7), { type: "INVENTORY_BELOW_RESERVED" });
    assert.equal((await findLevel(node.database, sku)).on_hand, 10);
  });

  it("keeps orders from the safety stock", async () => {
    await put(10, 5);
    await node.reserver.reserve(newId(), [{ skuId: sku, quantity: 1 }]);
    await assert.rejects(node.reserver.reserve(newId(), [{ skuId: sku, quantity: 1 }]), {
      type: "INVENTORY_OUT_OF_STOCK",
    });
  });

  it("adjusts once for one idempotency key, and refuses the key with another body", async () => {
    const claim = claimOf();
    const first = await adjust(5, claim);
    const second = await adjust(5, claim);
    assert.deepEqual([first.isReplay, second.isReplay], [false, true]);
    assert.deepEqual(second.level, first.level);
    assert.equal((await findLevel(node.database, sku)).on_hand, 15);
    await assert.rejects(adjust(5, { ...claim, fingerprint: "b".repeat(64) }), {
      type: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  it("refuses more units than a number of the contract can hold", async () => {
    await assert.rejects(adjust(1_000_000_000), { type: "VALIDATION_FAILED" });
  });

  it("lists the ledger newest first, in pages, and its sums are the stock", async () => {
    await adjust(5);
    await put(12);
    const all = await listMovements(node.database, { sku_id: sku });
    assert.deepEqual(
      all.items.map(({ kind, available_delta, reserved_delta }) => [
        kind,
        available_delta,
        reserved_delta,
      ]),
      [
        ["adjustment", -3, 0],
        ["adjustment", 5, 0],
        ["reserve", -4, 4],
        ["receipt", 10, 0],
      ],
    );
    const page = await listMovements(node.database, { sku_id: sku, page: 2, page_size: 3 });
    assert.deepEqual(page.items, all.items.slice(3));
    assert.equal(page.total, 4);
    await assert.rejects(listMovements(node.database, { sku_id: newId() }), {
      type: "SKU_NOT_FOUND",
    });
  });

  it("loses no unit when eight adjustments of a SKU come at once", async () => {
    await Promise.all(Array.from({ length: 8 }, () => adjust(1)));
    assert.equal((await findLevel(node.database, sku)).on_hand, 18);
  });
});
