// Stock as arithmetic, and the walk of a batch of orders over it.
import assert from "node:assert/strict";
import { errorSlug } from "../../services/contracts/errors.ts";
import {
  grant,
  type ReservationStatus,
  type ReserveCommand,
  settle,
} from "../../services/inventory/domain/reservation.ts";
import {
  applyDelta,
  BOOKINGS,
  byNumericId,
  onHand,
  orderable,
  type Stock,
  StockBook,
} from "../../services/inventory/domain/stock.ts";
import { mergeLines } from "../../services/inventory/reserve.ts";

const stockOf = (skuId: string, available: number, safetyStock = 0): Stock => ({
  skuId,
  available,
  reserved: 0,
  allotted: 0,
  safetyStock,
  version: 1,
});

const orderOf = (orderId: string, ...lines: [string, number][]): ReserveCommand => ({
  orderId,
  lines: lines.map(([skuId, quantity]) => ({ skuId, quantity })),
});

const nobody: ReadonlyMap<string, ReservationStatus> = new Map();

describe("stock arithmetic", () => {
  it("keeps on_hand when units move between buckets, and changes it when they come or go", () => {
    const before: Stock = { ...stockOf("1", 10), reserved: 5, allotted: 3 };
    const after = (change: { available: number; reserved: number; allotted: number }): number =>
      onHand(applyDelta(before, change)) - onHand(before);
    assert.equal(after(BOOKINGS.reserve(2)), 0);
    assert.equal(after(BOOKINGS.release(2)), 0);
    assert.equal(after(BOOKINGS.commitReserved(2)), -2);
    assert.equal(after(BOOKINGS.commitAllotted(2)), -2);
    assert.equal(after(BOOKINGS.restock(2)), 2);
    assert.equal(after(BOOKINGS.receive(-4)), -4);
  });

  it("refuses every booking that would make a bucket negative", () => {
    const stock: Stock = { ...stockOf("1", 1), reserved: 1, allotted: 1 };
    for (const booking of [
      BOOKINGS.reserve,
      BOOKINGS.release,
      BOOKINGS.commitReserved,
      BOOKINGS.commitAllotted,
    ]) {
      assert.throws(() => applyDelta(stock, booking(2)), /stays >= 0/);
    }
  });

  it("gives orders what is above the safety stock, and never less than nothing", () => {
    assert.equal(orderable(stockOf("1", 10, 4)), 6);
    assert.equal(orderable(stockOf("1", 3, 4)), 0);
  });

  it("raises the version of a changed SKU by one, however many bookings it gets", () => {
    const book = new StockBook([stockOf("1", 10), stockOf("2", 10)]);
    grant(book, [orderOf("7", ["1", 1]), orderOf("8", ["1", 1])], nobody);
    assert.deepEqual(
      book.changed().map(({ skuId, version, available }) => [skuId, version, available]),
      [["1", 2, 8]],
    );
    assert.equal(book.movements().length, 2);
  });

  it("orders ids as numbers, not as text", () => {
    assert.deepEqual(["10", "9", "2", "100"].sort(byNumericId), ["2", "9", "10", "100"]);
  });
});

describe("granting a batch of orders", () => {
  it("serves 50 of 51 orders for 50 units, by arrival", () => {
    const book = new StockBook([stockOf("1", 50)]);
    const orders = Array.from({ length: 51 }, (_, index) => orderOf(`${index + 1}`, ["1", 1]));
    const { outcomes, granted } = grant(book, orders, nobody);
    assert.equal(granted.length, 50);
    assert.deepEqual(outcomes[50], { kind: "out_of_stock", skuIds: ["1"] });
    assert.equal(book.get("1").available, 0);
  });

  it("gives an order all its lines or none, and still serves the smaller one behind it", () => {
    const book = new StockBook([stockOf("1", 5), stockOf("2", 1)]);
    const { outcomes } = grant(
      book,
      [orderOf("7", ["1", 3], ["2", 2]), orderOf("8", ["1", 5], ["2", 1])],
      nobody,
    );
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ["out_of_stock", "reserved"],
    );
    assert.equal(book.get("1").reserved, 5);
    assert.equal(book.get("2").reserved, 1);
  });

  it("names every SKU that is short or unknown", () => {
    const book = new StockBook([stockOf("1", 1), stockOf("2", 9)]);
    const { outcomes } = grant(book, [orderOf("7", ["1", 2], ["2", 1], ["3", 1])], nobody);
    assert.deepEqual(outcomes, [{ kind: "out_of_stock", skuIds: ["1", "3"] }]);
  });

  it("keeps the safety stock back", () => {
    const book = new StockBook([stockOf("1", 5, 4)]);
    const { outcomes } = grant(book, [orderOf("7", ["1", 1]), orderOf("8", ["1", 1])], nobody);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ["reserved", "out_of_stock"],
    );
  });

  it("answers a known order as before and books nothing for it", () => {
    const book = new StockBook([stockOf("1", 5)]);
    const known = new Map<string, ReservationStatus>([
      ["7", "held"],
      ["8", "committed"],
      ["9", "released"],
    ]);
    const { outcomes, granted } = grant(
      book,
      ["7", "8", "9"].map((id) => orderOf(id, ["1", 1])),
      known,
    );
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ["reserved", "reserved", "given_up"],
    );
    assert.equal(granted.length, 0);
    assert.equal(book.changed().length, 0);
  });

  it("books an order that comes twice in one batch once", () => {
    const book = new StockBook([stockOf("1", 5)]);
    const order = orderOf("7", ["1", 2]);
    const { outcomes } = grant(book, [order, order], nobody);
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ["reserved", "reserved"],
    );
    assert.equal(book.get("1").reserved, 2);
  });

  it("adds up lines of the same SKU and sorts them by id", () => {
    const lines = [
      { skuId: "10", quantity: 1 },
      { skuId: "9", quantity: 2 },
      { skuId: "10", quantity: 4 },
    ];
    assert.deepEqual(mergeLines(lines), [
      { skuId: "9", quantity: 2 },
      { skuId: "10", quantity: 5 },
    ]);
  });
});

describe("settling a reservation", () => {
  const statuses = [undefined, "held", "committed", "released"] as const;
  const movesOf = (action: "commit" | "release" | "restock"): string[] =>
    statuses.map((status) => {
      try {
        return settle(action, status);
      } catch (error) {
        return errorSlug(error) ?? String(error);
      }
    });
  const ILLEGAL = "ORDER_ILLEGAL_TRANSITION";

  it("commits what is held, once, and nothing else", () => {
    assert.deepEqual(movesOf("commit"), [ILLEGAL, "book", "done", ILLEGAL]);
  });

  it("releases what is held, leaves a tombstone where nothing is, never undoes a sale", () => {
    assert.deepEqual(movesOf("release"), ["tombstone", "book", ILLEGAL, "done"]);
  });

  it("restocks a sale, also when the refund overtook the payment", () => {
    assert.deepEqual(movesOf("restock"), [ILLEGAL, "book", "book", ILLEGAL]);
  });
});
