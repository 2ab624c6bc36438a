// Random lives of orders and SKUs on the real database against a model of three numbers per SKU:
// every answer is the model's, and afterwards the invariants of the stock hold.
import assert from "node:assert/strict";
import fc from "fast-check";
import { errorSlug } from "../../services/contracts/errors.ts";
import { adjustStock, putStock } from "../../services/inventory/inventory.repository.ts";
import { releaseOrders } from "../../services/inventory/release.ts";
import { type SettlementAction, settle } from "../../services/inventory/domain/reservation.ts";
import { settleOrders } from "../../services/inventory/settle.ts";
import { must } from "../../services/kernel/assert.ts";
import { type InventoryNode, inventoryNode, newId, open, stockOf } from "../support/inventory.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { assertInvariants } from "../support/invariants.ts";

const RUNS = 30;
const COMMANDS_MAX = 60;
const SKUS = 3;
const ORDERS = 3;
const OPENING = 10;

interface Bucket {
  available: number;
  reserved: number;
  safety: number;
}

interface OrderModel {
  status: "held" | "committed" | "released" | undefined;
  lines: readonly (readonly [sku: number, quantity: number])[];
  isRestocked: boolean;
}

interface Model {
  readonly skus: Bucket[];
  readonly orders: OrderModel[];
}

/** The real inventory of one run: its SKUs and orders have ids of their own. */
interface Real {
  readonly nodes: readonly [InventoryNode, InventoryNode];
  readonly skuIds: readonly string[];
  readonly orderIds: readonly string[];
}

type Lines = readonly (readonly [number, number])[];

async function slugOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "ok";
  } catch (error) {
    return errorSlug(error) ?? String(error);
  }
}

const clearMarks = ({ nodes, skuIds }: Real): void => {
  for (const node of nodes) node.marks.clear(skuIds);
};

class Reserve implements fc.AsyncCommand<Model, Real> {
  readonly order: number;
  readonly lines: Lines;
  constructor(order: number, lines: Lines) {
    this.order = order;
    this.lines = lines;
  }
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const expected = this.#expect(model);
    const lines = this.lines.map(([sku, quantity]) => ({
      skuId: must(real.skuIds[sku], "a SKU"),
      quantity,
    }));
    const id = must(real.orderIds[this.order], "an order");
    // The same order through both nodes at once: it must count once.
    const answers = await Promise.all(
      real.nodes.map((node) => slugOf(node.reserver.reserve(id, lines))),
    );
    assert.deepEqual(answers, [expected, expected]);
  }
  #expect(model: Model): string {
    const order = must(model.orders[this.order], "an order");
    if (order.status === "released") return "ORDER_ILLEGAL_TRANSITION";
    if (order.status !== undefined) return "ok";
    const isShort = this.lines.some(([sku, quantity]) => {
      const { available, safety } = must(model.skus[sku], "a SKU");
      return available - safety < quantity;
    });
    if (isShort) return "INVENTORY_OUT_OF_STOCK";
    for (const [sku, quantity] of this.lines) move(model, sku, -quantity, quantity);
    order.status = "held";
    order.lines = this.lines;
    return "ok";
  }
  toString = (): string => `reserve(${this.order}, ${JSON.stringify(this.lines)})`;
}

function move(model: Model, sku: number, available: number, reserved: number): void {
  const bucket = must(model.skus[sku], "a SKU");
  bucket.available += available;
  bucket.reserved += reserved;
}

/** Many different orders for one unit each, at once, on both nodes: as many succeed as there are. */
class Burst implements fc.AsyncCommand<Model, Real> {
  readonly sku: number;
  readonly size: number;
  constructor(sku: number, size: number) {
    this.sku = sku;
    this.size = size;
  }
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const bucket = must(model.skus[this.sku], "a SKU");
    const skuId = must(real.skuIds[this.sku], "a SKU");
    const answers = await Promise.all(
      Array.from({ length: this.size }, (_, index) => {
        const node = real.nodes[index % 2] ?? real.nodes[0];
        return slugOf(node.reserver.reserve(newId(), [{ skuId, quantity: 1 }]));
      }),
    );
    const granted = Math.min(this.size, Math.max(0, bucket.available - bucket.safety));
    assert.equal(answers.filter((answer) => answer === "ok").length, granted);
    move(model, this.sku, -granted, granted);
  }
  toString = (): string => `burst(${this.sku}, ${this.size})`;
}

class End implements fc.AsyncCommand<Model, Real> {
  readonly order: number;
  readonly action: SettlementAction;
  constructor(order: number, action: SettlementAction) {
    this.order = order;
    this.action = action;
  }
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const expected = this.#expect(model);
    const id = must(real.orderIds[this.order], "an order");
    assert.equal(await slugOf(this.#end(real, id)), expected);
    clearMarks(real);
  }
  #end({ nodes: [{ database }] }: Real, orderId: string): Promise<unknown> {
    if (this.action === "release") return releaseOrders(database, [orderId]);
    const { action } = this;
    return database.transaction("test.settle", (tx) =>
      settleOrders(tx, [{ orderId, action, lines: [], isFlash: false }]),
    );
  }
  #expect(model: Model): string {
    const order = must(model.orders[this.order], "an order");
    if (this.action === "restock" && order.isRestocked) return "ok";
    let moved: string;
    try {
      moved = settle(this.action, order.status);
    } catch (error) {
      return errorSlug(error) ?? String(error);
    }
    if (moved === "done") return "ok";
    for (const [sku, quantity] of order.lines) this.#book(model, sku, quantity);
    if (this.action === "restock") order.isRestocked = true;
    else order.status = this.action === "commit" ? "committed" : "released";
    return "ok";
  }
  #book(model: Model, sku: number, quantity: number): void {
    if (this.action === "commit") move(model, sku, 0, -quantity);
    if (this.action === "release") move(model, sku, quantity, -quantity);
    if (this.action === "restock") move(model, sku, quantity, 0);
  }
  toString = (): string => `${this.action}(${this.order})`;
}

class Put implements fc.AsyncCommand<Model, Real> {
  readonly sku: number;
  readonly onHand: number;
  readonly safety: number | undefined;
  constructor(sku: number, onHand: number, safety: number | undefined) {
    this.sku = sku;
    this.onHand = onHand;
    this.safety = safety;
  }
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const bucket = must(model.skus[this.sku], "a SKU");
    const skuId = must(real.skuIds[this.sku], "a SKU");
    const answer = await slugOf(
      putStock(real.nodes[0].database, {
        skuId,
        onHand: this.onHand,
        safetyStock: this.safety,
        adminId: "1",
      }),
    );
    clearMarks(real);
    if (this.onHand < bucket.reserved) {
      assert.equal(answer, "INVENTORY_BELOW_RESERVED");
      return;
    }
    assert.equal(answer, "ok");
    bucket.available = this.onHand - bucket.reserved;
    bucket.safety = this.safety ?? bucket.safety;
  }
  toString = (): string => `put(${this.sku}, ${this.onHand}, ${this.safety ?? "-"})`;
}

class Adjust implements fc.AsyncCommand<Model, Real> {
  readonly sku: number;
  readonly delta: number;
  constructor(sku: number, delta: number) {
    this.sku = sku;
    this.delta = delta;
  }
  check = (): boolean => true;
  async run(model: Model, real: Real): Promise<void> {
    const bucket = must(model.skus[this.sku], "a SKU");
    const skuId = must(real.skuIds[this.sku], "a SKU");
    const change = { skuId, delta: this.delta, reason: "counted", adminId: "1" };
    const answer = await slugOf(adjustStock(real.nodes[0].database, change, undefined));
    clearMarks(real);
    const isPossible = bucket.available + this.delta >= 0;
    assert.equal(answer, isPossible ? "ok" : "INVENTORY_BELOW_RESERVED");
    if (isPossible) bucket.available += this.delta;
  }
  toString = (): string => `adjust(${this.sku}, ${this.delta})`;
}

const sku = fc.nat(SKUS - 1);
const order = fc.nat(ORDERS - 1);
const lines = fc.uniqueArray(fc.tuple(sku, fc.integer({ min: 1, max: 6 })), {
  minLength: 1,
  maxLength: SKUS,
  selector: ([one]) => one,
});
const action = fc.constantFrom<SettlementAction>("commit", "release", "restock");

const COMMANDS = [
  fc.tuple(order, lines).map(([one, wanted]) => new Reserve(one, wanted)),
  fc.tuple(sku, fc.integer({ min: 1, max: 12 })).map(([one, size]) => new Burst(one, size)),
  // Twice as often as the others: most of an order's life is its end, and the end again.
  fc.tuple(order, action).map(([one, end]) => new End(one, end)),
  fc.tuple(order, action).map(([one, end]) => new End(one, end)),
  fc
    .tuple(sku, fc.nat(20), fc.option(fc.nat(6), { nil: undefined }))
    .map(([one, onHand, safety]) => new Put(one, onHand, safety)),
  fc
    .tuple(
      sku,
      fc.integer({ min: -8, max: 8 }).filter((delta) => delta !== 0),
    )
    .map(([one, delta]) => new Adjust(one, delta)),
];

describe("inventory under random commands", function () {
  this.timeout(180_000);
  let schemas: TestDatabase;
  let nodes: readonly [InventoryNode, InventoryNode];

  before(async () => {
    schemas = await testDatabase({ services: ["inventory"] });
    nodes = [await inventoryNode(schemas), await inventoryNode(schemas)];
  });
  after(async () => {
    for (const node of nodes) await node.close();
    await schemas.drop();
  });

  async function setup(): Promise<{ model: Model; real: Real }> {
    const skuIds = Array.from({ length: SKUS }, newId);
    await open(nodes[0].database, ...skuIds.map((skuId) => ({ skuId, quantity: OPENING })));
    return {
      model: {
        skus: skuIds.map(() => ({ available: OPENING, reserved: 0, safety: 0 })),
        orders: Array.from({ length: ORDERS }, () => ({
          status: undefined,
          lines: [],
          isRestocked: false,
        })),
      },
      real: { nodes, skuIds, orderIds: Array.from({ length: ORDERS }, newId) },
    };
  }

  it("answers as the model does, never oversells, and keeps the ledger in step", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands(COMMANDS, { maxCommands: COMMANDS_MAX, size: "max" }),
        async (commands) => {
          const { model, real } = await setup();
          await fc.asyncModelRun(() => ({ model, real }), commands);
          for (const [index, skuId] of real.skuIds.entries()) {
            const { available, reserved, safetyStock } = await stockOf(nodes[0].database, skuId);
            const bucket = must(model.skus[index], "a SKU");
            assert.deepEqual({ available, reserved, safety: safetyStock }, bucket);
          }
        },
      ),
      { numRuns: RUNS },
    );
    await assertInvariants(schemas, { schemas: ["inventory"] });
  });
});
