// What product pages read: from Redis when it is there, from the database when it is not, and what
// is known when neither answers.
import assert from "node:assert/strict";
import { AvailabilityStore } from "../../services/inventory/availability.store.ts";
import { createAvailabilityCopies } from "../../services/inventory/availability.redis.ts";
import { putStock } from "../../services/inventory/inventory.repository.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { eventually } from "../support/eventually.ts";
import { type InventoryNode, inventoryNode, newId, open, stockOf } from "../support/inventory.ts";
import { silentLog, type TestDatabase, testDatabase } from "../support/database.ts";

/** Nothing listens there. */
const REDIS_AWAY = "redis://127.0.0.1:1";
const READ = "inventory.stock.read";

describe("availability", () => {
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
    node.statements.length = 0;
  });
  after(async () => {
    await node.close();
    await schemas.drop();
  });

  const units = async (): Promise<number | undefined> =>
    (await node.availability.read([sku])).get(sku);
  const reads = (): number => node.statements.filter((name) => name === READ).length;

  it("reads the database once, then not any more", async () => {
    assert.equal(await units(), 10);
    await eventually(
      async () => (await node.redis.keys(`${node.namespace}:*{${sku}}`)).length > 0,
      {
        timeoutMs: 2_000,
        what: "the copy is in Redis",
      },
    );
    node.statements.length = 0;
    for (let time = 0; time < 20; time += 1) assert.equal(await units(), 10);
    assert.deepEqual(node.statements, []);
  });

  it("shares one read of the database between all who ask at once", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, units));
    assert.deepEqual(new Set(answers), new Set([10]));
    assert.equal(reads(), 1);
  });

  it("reads nothing again for who saw no copy in Redis before the first read had ended", async () => {
    const copies = createAvailabilityCopies(node.redis, node.namespace);
    const { promise: untilRead, resolve: endWait } = Promise.withResolvers<undefined>();
    const waits = [untilRead];
    const store = new AvailabilityStore({
      database: node.database,
      copies: {
        ...copies,
        async read(skuIds) {
          const wait = waits.shift();
          const found = await copies.read(skuIds);
          await wait;
          return found;
        },
      },
      clock: systemClock,
      log: silentLog,
    });
    const late = store.read([sku]);
    assert.equal((await store.read([sku])).get(sku), 10);
    endWait(undefined);
    assert.equal((await late).get(sku), 10);
    assert.equal(reads(), 1);
    await store.stop();
  });

  it("leaves unknown SKUs out and keeps back the safety stock", async () => {
    const { stock } = await putStock(node.database, {
      skuId: sku,
      onHand: 10,
      safetyStock: 4,
      adminId: "1",
    });
    await node.availability.remember([stock]);
    assert.deepEqual([...(await node.availability.read([sku, newId()]))], [[sku, 6]]);
  });

  it("shows a reservation without anybody reading the database", async () => {
    await units();
    await node.reserver.reserve(newId(), [{ skuId: sku, quantity: 3 }]);
    await eventually(async () => (await units()) === 7, {
      timeoutMs: 2_000,
      what: "the page shows 7",
    });
    assert.equal(reads(), 1);
  });

  it("keeps the newest of two commits whose copies arrive in the wrong order", async () => {
    const older = await stockOf(node.database, sku);
    await node.reserver.reserve(newId(), [{ skuId: sku, quantity: 3 }]);
    const newer = await stockOf(node.database, sku);
    await node.availability.remember([newer]);
    await node.availability.remember([older]);
    assert.equal(await units(), 7);
  });

  it("goes on without Redis, from a copy of its own and then from the database", async () => {
    const away = await inventoryNode(schemas, { redisUrl: REDIS_AWAY });
    const before = performance.now();
    assert.deepEqual([...(await away.availability.read([sku]))], [[sku, 10]]);
    assert.ok(performance.now() - before < 1_000);
    away.statements.length = 0;
    await away.availability.read([sku]);
    assert.deepEqual(away.statements, []);
    await node.reserver.reserve(newId(), [{ skuId: sku, quantity: 1 }]);
    await eventually(async () => (await away.availability.read([sku])).get(sku) === 9, {
      timeoutMs: 3_000,
      what: "the copy of its own has ended",
    });
    await away.close();
  });

  it("answers what is cached and leaves the rest out when the database is away", async () => {
    const [stock] = [await stockOf(node.database, sku)];
    await node.availability.remember([stock]);
    const database = schemas.database("inventory", { port: 1 });
    const store = new AvailabilityStore({
      database,
      copies: createAvailabilityCopies(node.redis, node.namespace),
      clock: systemClock,
      log: silentLog,
    });
    assert.deepEqual([...(await store.read([sku, newId()]))], [[sku, 10]]);
    await store.stop();
  });

  it("writes the newest units when Redis comes back, without being asked again", async () => {
    let isAway = true;
    const written: string[] = [];
    const store = new AvailabilityStore({
      database: node.database,
      copies: {
        read: () => Promise.reject(new Error("away")),
        write: (copies) => {
          if (isAway) return Promise.reject(new Error("away"));
          written.push(...copies.map(({ version, units: left }) => `${version}:${left}`));
          return Promise.resolve();
        },
      },
      clock: systemClock,
      log: silentLog,
    });
    const stock = await stockOf(node.database, sku);
    await store.remember([stock]);
    await store.remember([{ ...stock, version: stock.version + 1, available: 4 }]);
    isAway = false;
    await eventually(() => written.length > 0, { timeoutMs: 5_000, what: "the copy is written" });
    assert.deepEqual(written, [`${stock.version + 1}:4`]);
    await store.stop();
  });
});
