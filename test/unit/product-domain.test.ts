import assert from "node:assert/strict";
import { isPlatformError } from "../../services/contracts/errors.ts";
import type { Category } from "../../services/contracts/product.ts";
import {
  CATEGORY_DEPTH_MAX,
  inTreeOrder,
  isNameTaken,
  placementFault,
} from "../../services/product/domain/category.ts";
import {
  changeProduct,
  createProduct,
  lowestPrice,
  type NewProduct,
  QUOTED_NAME_LENGTH_MAX,
  quotedName,
  shelve,
} from "../../services/product/domain/product.ts";

const AT = new Date("2026-01-01T00:00:00.000Z");
const LATER = new Date("2026-01-02T00:00:00.000Z");

function countingIds(): { next(): string } {
  let last = 0;
  return { next: () => String((last += 1)) };
}

function made(input: Partial<NewProduct> = {}) {
  return createProduct({ name: "Shirt", price: 500, ...input }, countingIds(), AT);
}

const RED = { attributes: { colour: "red" }, price: 700, stock: 3 };
const BLUE = { attributes: { colour: "blue" }, price: 600, stock: 4 };

describe("a product", () => {
  it("gets one default SKU at its own price when none are given", () => {
    const { state, openingStock } = made({ stock: 9 });
    assert.deepEqual(state.skus, [{ id: "2", attributes: {}, price: 500 }]);
    assert.deepEqual(openingStock, [{ sku_id: "2", stock: 9 }]);
    assert.equal(state.status, "listed");
  });

  it("takes its SKUs' own prices and shows the lowest", () => {
    const { state, openingStock } = made({ skus: [RED, BLUE] });
    assert.equal(lowestPrice(state.skus), 600);
    assert.deepEqual(
      openingStock.map(({ stock }) => stock),
      [3, 4],
    );
  });

  it("tells of its creation with the opening stock of every SKU", () => {
    const { state, events, openingStock } = made({ skus: [RED, BLUE] });
    assert.deepEqual(events, [
      {
        name: "product.created.v1",
        aggregateId: state.id,
        aggregateVersion: 1,
        payload: { product_id: state.id, skus: openingStock },
      },
    ]);
  });

  it("refuses two SKUs that nobody can tell apart, whatever order their attributes have", () => {
    const one = { ...RED, attributes: { colour: "red", size: "L" } };
    const other = { ...RED, attributes: { size: "L", colour: "red" } };
    assert.throws(
      () => made({ skus: [one, other] }),
      (error) => isPlatformError(error, "VALIDATION_FAILED"),
    );
  });

  it("counts a change and tells of it once", () => {
    const { state } = made();
    const changed = changeProduct(state, { name: " Coat " }, LATER);
    assert.equal(changed.state.name, "Coat");
    assert.equal(changed.state.version, 2);
    assert.equal(changed.state.updatedAt, LATER);
    assert.deepEqual(changed.events[0]?.payload, { product_id: state.id, version: 2 });
  });

  it("stays as it is, silently, when a change changes nothing", () => {
    const { state } = made();
    assert.deepEqual(changeProduct(state, { name: "Shirt", price: 500 }, LATER), {
      state,
      events: [],
    });
    assert.deepEqual(shelve(state, "listed", LATER), { state, events: [] });
  });

  it("sets the price of every SKU but of those named with their own", () => {
    const { state } = made({ skus: [RED, BLUE] });
    const first = state.skus[0]!.id;
    const { state: after } = changeProduct(
      state,
      { price: 900, skus: [{ id: first, price: 1 }] },
      AT,
    );
    assert.deepEqual(
      after.skus.map(({ price }) => price),
      [1, 900],
    );
  });

  it("refuses a SKU that is not its own, and one that is named twice", () => {
    const { state } = made();
    const own = state.skus[0]!.id;
    for (const skus of [[{ id: "99", price: 1 }], [{ id: own }, { id: own }]]) {
      assert.throws(
        () => changeProduct(state, { skus }, AT),
        (error) => isPlatformError(error, "VALIDATION_FAILED"),
      );
    }
  });

  it("loses its category only when told so", () => {
    const { state } = made({ category_id: "7" });
    assert.equal(changeProduct(state, { name: "Coat" }, AT).state.categoryId, "7");
    assert.equal(changeProduct(state, { category_id: null }, AT).state.categoryId, null);
  });

  it("leaves the shelf and comes back, each time a version later", () => {
    const off = shelve(made().state, "unlisted", LATER);
    const on = shelve(off.state, "listed", LATER);
    assert.deepEqual([off.state.version, on.state.version], [2, 3]);
  });

  it("is named on an order with what tells the SKU apart, within the longest name", () => {
    assert.equal(quotedName("Shirt", {}), "Shirt");
    assert.equal(quotedName("Shirt", { colour: "red", size: "L" }), "Shirt (red, L)");
    const long = quotedName("衣".repeat(200), { colour: "红".repeat(100) });
    assert.equal(Array.from(long).length, QUOTED_NAME_LENGTH_MAX);
  });
});

describe("the category tree", () => {
  const category = (id: string, parent: string | null = null, position = 0): Category => ({
    id,
    name: `c${id}`,
    parent_id: parent,
    position,
  });
  const chain = (length: number): Category[] =>
    Array.from({ length }, (_, at) => category(String(at + 1), at === 0 ? null : String(at)));

  it("is listed parents first, siblings by position and then name", () => {
    const all = [category("4", "1"), category("2"), category("1", null, 1), category("3", "2", 5)];
    assert.deepEqual(
      inTreeOrder(all).map(({ id }) => id),
      ["2", "3", "1", "4"],
    );
  });

  it("refuses a parent that does not exist", () => {
    assert.equal(placementFault([category("1")], null, "9"), "unknown_parent");
  });

  it("refuses to hang a category below itself", () => {
    const all = chain(3);
    assert.equal(placementFault(all, "1", "1"), "circle");
    assert.equal(placementFault(all, "1", "3"), "circle");
    assert.equal(placementFault(all, "3", "1"), undefined);
  });

  it("stays within its greatest depth, a moved branch counted whole", () => {
    const full = chain(CATEGORY_DEPTH_MAX);
    const deepest = String(CATEGORY_DEPTH_MAX);
    assert.equal(placementFault(full, null, deepest), "too_deep");
    assert.equal(placementFault(full, null, String(CATEGORY_DEPTH_MAX - 1)), undefined);
    const branch = [...full, category("100"), category("101", "100")];
    assert.equal(placementFault(branch, "100", String(CATEGORY_DEPTH_MAX - 1)), "too_deep");
  });

  it("has no two siblings of one name", () => {
    const all = [category("1"), { ...category("2", "1"), name: "Tea" }];
    assert.equal(isNameTaken(all, { ...category("3", "1"), name: "tea" }), true);
    assert.equal(isNameTaken(all, { ...category("3"), name: "tea" }), false);
    assert.equal(isNameTaken(all, { ...category("2", "1"), name: "tea" }), false);
  });
});
