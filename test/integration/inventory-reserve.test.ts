// Reservations on a real database: group commit, all lines or none, once per order, and what a lost
// answer, a crash or another node does to them.
import assert from "node:assert/strict";
import type { Database, Transaction, TransactionOptions } from "../../mixins/database/database.ts";
import { errorDetails, errorSlug, PlatformError } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import { createReleaser, releaseOrders } from "../../services/inventory/release.ts";
import { RESERVE_FAILPOINTS } from "../../services/inventory/reserve.ts";
import { settleOrders } from "../../services/inventory/settle.ts";
import { SOLD_OUT_MARK_TTL_MS } from "../../services/inventory/sold-out-marks.ts";
import { eventually } from "../support/eventually.ts";
import {
  type InventoryNode,
  type InventoryNodeOptions,
  inventoryNode,
  newId,
  open,
  stockOf,
} from "../support/inventory.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const one = (skuId: string, quantity = 1): { skuId: string; quantity: number }[] => [
  { skuId, quantity },
];

/** Rounds of a race; without the row lock the first few lose units. */
const ROUNDS = 10;

async function slugsOf(attempts: readonly Promise<void>[]): Promise<(string | undefined)[]> {
  const settled = await Promise.allSettled(attempts);
  return settled.map((result) =>
    result.status === "fulfilled" ? "reserved" : errorSlug(result.reason),
  );
}

describe("inventory.reserve", () => {
  let schemas: TestDatabase;
  let node: InventoryNode;
  const others: InventoryNode[] = [];

  before(async () => {
    schemas = await testDatabase({ services: ["inventory"] });
    node = await inventoryNode(schemas);
  });
  afterEach(async () => {
    for (const other of others.splice(0)) await other.close();
  });
  after(async () => {
    await node.close();
    await schemas.drop();
  });

  const anotherNode = async (options: InventoryNodeOptions = {}): Promise<InventoryNode> => {
    const other = await inventoryNode(schemas, options);
    others.push(other);
    return other;
  };

  const lineCount = async (orderId: string): Promise<number> => {
    const [rows] = await schemas.admin.query(
      `SELECT COUNT(*) AS n FROM ${schemas.nameOf("inventory")}.stock_movements
       WHERE cause_type = 'order' AND cause_id = ? AND kind = 'reserve'`,
      [orderId],
    );
    return Number((rows as { n: unknown }[])[0]?.n);
  };

  it("serves exactly 50 of 200 concurrent orders for 50 units, in a few transactions", async () => {
    const sku = newId();
    await open(node.database, { skuId: sku, quantity: 50 });
    node.statements.length = 0;
    const results = await slugsOf(
      Array.from({ length: 200 }, () => node.reserver.reserve(newId(), one(sku))),
    );
    assert.equal(results.filter((result) => result === "reserved").length, 50);
    assert.equal(results.filter((result) => result === "INVENTORY_OUT_OF_STOCK").length, 150);
    const stock = await stockOf(node.database, sku);
    assert.deepEqual([stock.available, stock.reserved], [0, 50]);
    const commits = node.statements.filter((name) => name === "transaction.commit").length;
    assert.ok(commits <= 4, `200 orders took ${commits} transactions`);
  });

  it("serves no unit twice when two nodes sell the same SKU at the same time", async () => {
    const other = await anotherNode();
    // Both have their connections open, so that their transactions really meet.
    await Promise.all([node, other].map(({ database }) => database.ping()));
    for (let round = 0; round < ROUNDS; round += 1) {
      const sku = newId();
      await open(node.database, { skuId: sku, quantity: 50 });
      await other.reserver.reserve(newId(), one(sku));
      const results = await slugsOf(
        Array.from({ length: 200 }, (_, index) =>
          (index % 2 === 0 ? node : other).reserver.reserve(newId(), one(sku)),
        ),
      );
      assert.equal(results.filter((result) => result === "reserved").length, 49);
      const stock = await stockOf(node.database, sku);
      assert.deepEqual([stock.available, stock.reserved], [0, 50]);
    }
  });

  it("does not deadlock orders that name the same SKUs in opposite order on two nodes", async () => {
    const other = await anotherNode();
    const [left, right] = [newId(), newId()];
    await open(node.database, { skuId: left, quantity: 100 }, { skuId: right, quantity: 100 });
    const attempts = Array.from({ length: 100 }, (_, index) => {
      const lines = [...one(left), ...one(right)];
      return index % 2 === 0
        ? node.reserver.reserve(newId(), lines)
        : other.reserver.reserve(newId(), lines.reverse());
    });
    const results = await slugsOf(attempts);
    assert.ok(results.every((result) => result === "reserved"));
    assert.equal((await stockOf(node.database, right)).reserved, 100);
  });

  it("gives all lines or none and names what is short", async () => {
    const [plenty, short] = [newId(), newId()];
    await open(node.database, { skuId: plenty, quantity: 10 }, { skuId: short, quantity: 1 });
    const unknown = newId();
    await assert.rejects(
      node.reserver.reserve(newId(), [...one(plenty), ...one(short, 2), ...one(unknown)]),
      (error) => {
        assert.equal(errorSlug(error), "INVENTORY_OUT_OF_STOCK");
        assert.deepEqual(errorDetails(error), { sku_ids: [short, unknown] });
        return true;
      },
    );
    assert.equal((await stockOf(node.database, plenty)).available, 10);
  });

  it("holds the units once for an order that asks again, at once and later", async () => {
    const sku = newId();
    const order = newId();
    await open(node.database, { skuId: sku, quantity: 5 });
    await Promise.all([1, 2, 3].map(() => node.reserver.reserve(order, one(sku, 2))));
    await node.reserver.reserve(order, one(sku, 2));
    assert.equal((await stockOf(node.database, sku)).reserved, 2);
    assert.equal(await lineCount(order), 1);
  });

  it("answers 'reserved' to the holder who asks again while the SKU is marked sold out", async () => {
    const sku = newId();
    const order = newId();
    await open(node.database, { skuId: sku, quantity: 1 });
    await node.reserver.reserve(order, one(sku));
    assert.deepEqual(node.marks.soldOutOf([sku]), [sku]);
    await node.reserver.reserve(order, one(sku));
    await assert.rejects(node.reserver.reserve(newId(), one(sku)), {
      type: "INVENTORY_OUT_OF_STOCK",
    });
  });

  it("refuses while marked without touching the stock rows, and serves again after a release", async () => {
    const sku = newId();
    const holder = newId();
    await open(node.database, { skuId: sku, quantity: 1 });
    await node.reserver.reserve(holder, one(sku));
    node.marks.mark([sku]);
    node.statements.length = 0;
    const refused = await slugsOf(
      Array.from({ length: 20 }, () => node.reserver.reserve(newId(), one(sku))),
    );
    assert.ok(refused.every((result) => result === "INVENTORY_OUT_OF_STOCK"));
    assert.ok(!node.statements.includes("inventory.stock.lock"), node.statements.join());
    await releaseOrders(node.database, [holder]);
    node.marks.clear([sku]);
    await node.reserver.reserve(newId(), one(sku));
  });

  it("forgets a mark by itself", async () => {
    const sku = newId();
    node.marks.mark([sku]);
    assert.deepEqual(node.marks.soldOutOf([sku]), [sku]);
    await eventually(() => node.marks.soldOutOf([sku]).length === 0, {
      timeoutMs: SOLD_OUT_MARK_TTL_MS * 5,
      what: "the mark has ended",
    });
    assert.deepEqual(node.hints.at(-1), { sold_out: [sku], returned: [] });
  });

  it("refuses an order that was released before it asked, for ever", async () => {
    const sku = newId();
    const order = newId();
    await open(node.database, { skuId: sku, quantity: 5 });
    await releaseOrders(node.database, [order]);
    await releaseOrders(node.database, [order]);
    await assert.rejects(node.reserver.reserve(order, one(sku)), {
      type: "ORDER_ILLEGAL_TRANSITION",
    });
    assert.equal((await stockOf(node.database, sku)).available, 5);
  });

  it("leaves nothing held when reserve and release of an order race", async () => {
    const sku = newId();
    await open(node.database, { skuId: sku, quantity: 40 });
    const orders = Array.from({ length: 40 }, () => newId());
    await Promise.all(
      orders.map(async (order) => {
        await Promise.allSettled([
          node.reserver.reserve(order, one(sku)),
          releaseOrders(node.database, [order]),
        ]);
      }),
    );
    for (const order of orders) await releaseOrders(node.database, [order]);
    const stock = await stockOf(node.database, sku);
    assert.deepEqual([stock.available, stock.reserved], [40, 0]);
  });

  it("shares commits among releases, and refuses alone the order that was paid", async () => {
    const sku = newId();
    await open(node.database, { skuId: sku, quantity: 40 });
    const [paid, ...given] = Array.from({ length: 40 }, () => newId());
    assert.ok(paid !== undefined);
    await Promise.all([paid, ...given].map((order) => node.reserver.reserve(order, one(sku))));
    const told: number[] = [];
    const releaser = createReleaser(node.database, (changed) => {
      told.push(changed.length);
      return Promise.resolve();
    });
    await Promise.all(given.slice(0, 20).map((order) => releaser.release(order)));
    assert.ok(told.length <= 2, `${told.length} commits`);
    const payment = { orderId: paid, action: "commit", lines: [], isFlash: false } as const;
    await node.database.transaction("pay", (tx) => settleOrders(tx, [payment]));
    const rest = [...given.slice(20), paid].map((order) => releaser.release(order));
    const ends = await Promise.allSettled(rest);
    assert.deepEqual(
      ends.map(({ status }) => status),
      ends.map((_, index) => (index === ends.length - 1 ? "rejected" : "fulfilled")),
    );
    await assert.rejects(releaser.release(paid), { type: "ORDER_ILLEGAL_TRANSITION" });
    const stock = await stockOf(node.database, sku);
    assert.deepEqual([stock.available, stock.reserved], [39, 0]);
  });

  it("books nothing when the node fails before the commit, and once when it is asked again", async () => {
    let failures = 3;
    const failing = await anotherNode({
      failpoint: (name) => {
        if (name === RESERVE_FAILPOINTS.beforeCommit && failures > 0) {
          failures -= 1;
          throw new Error("planted");
        }
      },
    });
    const sku = newId();
    const order = newId();
    await open(node.database, { skuId: sku, quantity: 5 });
    await assert.rejects(failing.reserver.reserve(order, one(sku)), /planted/);
    assert.equal((await stockOf(node.database, sku)).reserved, 0);
    failures = 0;
    await failing.reserver.reserve(order, one(sku));
    assert.equal((await stockOf(node.database, sku)).reserved, 1);
  });

  it("still holds the units when the answer was lost after the commit, and not twice", async () => {
    let lose = true;
    const failing = await anotherNode({
      failpoint: (name) => {
        if (name === RESERVE_FAILPOINTS.afterCommit && lose) throw new Error("planted");
      },
    });
    const sku = newId();
    const order = newId();
    await open(node.database, { skuId: sku, quantity: 5 });
    await assert.rejects(failing.reserver.reserve(order, one(sku)), /planted/);
    lose = false;
    await failing.reserver.reserve(order, one(sku));
    assert.equal((await stockOf(node.database, sku)).reserved, 1);
    assert.equal(await lineCount(order), 1);
  });

  /** A database whose first COMMIT is not answered: it was done, or it was not. */
  const losingCommit = (fate: "done" | "undone", resolutions: string[]) => {
    let isLost = false;
    return (real: Database): Database => ({
      ...readsOf(real),
      async transaction<T>(
        name: string,
        work: (tx: Transaction) => Promise<T>,
        options: TransactionOptions<T> = {},
      ): Promise<T> {
        if (isLost) return await real.transaction(name, work, options);
        isLost = true;
        await real
          .transaction(name, async (tx) => {
            await work(tx);
            if (fate === "undone") throw new PlatformError("OUTCOME_UNKNOWN");
          })
          .catch(() => undefined);
        const found = await real.transaction("resolve", must(options.resolve, "a resolve"));
        resolutions.push(found.outcome);
        return found.outcome === "committed"
          ? found.value
          : await real.transaction(name, work, options);
      },
    });
  };
  const readsOf = (real: Database) => ({
    schema: real.schema,
    rows: real.rows.bind(real),
    row: real.row.bind(real),
    run: real.run.bind(real),
    ping: () => real.ping(),
    close: () => real.close(),
  });

  for (const [fate, resolution] of [
    ["done", "committed"],
    ["undone", "not_committed"],
  ] as const) {
    it(`holds the units once when the answer to COMMIT is lost and it was ${fate}`, async () => {
      const resolutions: string[] = [];
      const unlucky = await anotherNode({ through: losingCommit(fate, resolutions) });
      const sku = newId();
      await open(node.database, { skuId: sku, quantity: 3 });
      const results = await slugsOf(
        Array.from({ length: 5 }, () => unlucky.reserver.reserve(newId(), one(sku))),
      );
      assert.deepEqual(resolutions, [resolution]);
      assert.equal(results.filter((result) => result === "reserved").length, 3);
      const stock = await stockOf(node.database, sku);
      assert.deepEqual([stock.available, stock.reserved], [0, 3]);
    });
  }
});
