import assert from "node:assert/strict";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { createSnowflakeCounter } from "../../services/kernel/snowflake.ts";
import { silentLog, testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type FaultyLink, faultyLink } from "../support/faulty-link.ts";
import { type ProductNode, productNode } from "../support/product.ts";
import { testServers } from "../support/servers.ts";

const DAY_MS = 86_400_000;
/** The filter's own reads; they belong to no request. */
const BACKGROUND = new Set(["product.count_all", "product.ids_after"]);

describe("the product cache", () => {
  let schemas: TestDatabase;
  let redisLink: FaultyLink;
  let mysqlLink: FaultyLink;
  /** Writes, and carries the worker; its links are never touched. */
  let office: ProductNode;
  /** Reads; the faults are on its links. */
  let shop: ProductNode;

  before(async () => {
    const servers = await testServers();
    redisLink = await faultyLink(servers.redisUrl);
    mysqlLink = await faultyLink(servers.mysqlUrl);
    schemas = await testDatabase({ services: ["product"] });
    office = await productNode(schemas);
    shop = await productNode(schemas, {
      services: ["product"],
      redisUrl: redisLink.url,
      mysqlPort: mysqlLink.port,
    });
    await nodesKnowEachOther();
    await cacheIsUsed();
  });
  after(async () => {
    await shop.stop();
    await office.stop();
    await schemas.drop();
    redisLink.close();
    mysqlLink.close();
  });
  afterEach(async () => {
    redisLink.mend();
    mysqlLink.mend();
    await cacheIsUsed();
  });

  const get = (id: string, at: ProductNode = shop) => at.as("public", "product.get", { id });
  const requestStatements = () => shop.statements.filter((name) => !BACKGROUND.has(name));

  /** Until then a broadcast of one does not reach the other. */
  async function nodesKnowEachOther(): Promise<void> {
    await eventually(
      async () => {
        const services = await office.broker.call<
          { name: string; nodes?: string[] }[],
          { grouping: boolean }
        >("$node.services", { grouping: true });
        return services.find(({ name }) => name === "product")?.nodes?.length === 2;
      },
      { timeoutMs: 5_000, what: "both nodes know of both product services" },
    );
  }

  /** Waits until the shop's node answers a product it has never seen without the database. */
  async function cacheIsUsed(): Promise<void> {
    await eventually(
      async () => {
        const { id } = await office.create({});
        await get(id, office);
        shop.statements.length = 0;
        await get(id);
        return requestStatements().length === 0;
      },
      { timeoutMs: 8_000, what: "the node reads through Redis" },
    );
  }

  const isOldVersionCached = async (id: string): Promise<boolean> =>
    (await cachedText(id))?.startsWith("1:") === true;

  async function cachedText(id: string): Promise<string | null> {
    const redis = createRedis((await testServers()).redisUrl, { name: "look", log: silentLog });
    await whenRedisReady(redis, 2_000);
    const text = await redis.get(`${schemas.settings.NAMESPACE}:product:detail:{${id}}`);
    redis.disconnect();
    return text;
  }

  it("answers a product another node has cached without any statement", async () => {
    const product = await office.create({});
    await get(product.id, office);
    await eventually(() => cachedText(product.id), { timeoutMs: 2_000, what: "it is cached" });
    shop.statements.length = 0;
    for (let read = 0; read < 20; read += 1) assert.deepEqual(await get(product.id), product);
    assert.deepEqual(requestStatements(), []);
  });

  it("reads the database once for a hundred readers of an uncached product", async () => {
    const { id } = await office.create({});
    shop.statements.length = 0;
    await Promise.all(Array.from({ length: 100 }, () => get(id)));
    assert.deepEqual(requestStatements(), ["product.find", "product.find_skus"]);
  });

  it("shows a change of one node on every node", async () => {
    const { id } = await office.create({});
    await get(id);
    await office.as("admin", "product.update", { id, name: "Changed" });
    await eventually(async () => (await get(id)).name === "Changed", {
      timeoutMs: 500,
      what: "the other node shows the change, before its memory ends",
    });
  });

  it("refuses an id that never existed without Redis or the database", async () => {
    const bornMs = Date.now() - DAY_MS;
    const old = createSnowflakeCounter({ workerId: 9, floorMs: bornMs, highWaterMs: bornMs + 9 });
    redisLink.freeze();
    mysqlLink.freeze();
    shop.statements.length = 0;
    const startedAt = performance.now();
    for (let tries = 0; tries < 20; tries += 1) {
      await assert.rejects(get(old.next(bornMs + 1) ?? ""), (error) =>
        isPlatformError(error, "PRODUCT_NOT_FOUND"),
      );
    }
    assert.ok(performance.now() - startedAt < 90, "no answer was waited for");
    assert.deepEqual(requestStatements(), []);
  });

  it("loses at most one time-out to a frozen Redis, and no answer", async () => {
    const products = await Promise.all(Array.from({ length: 10 }, () => office.create({})));
    redisLink.freeze();
    const timesMs: number[] = [];
    for (const product of products) {
      const startedAt = performance.now();
      assert.deepEqual(await get(product.id), product);
      timesMs.push(performance.now() - startedAt);
    }
    const [first = 0, ...later] = timesMs;
    // Only the first waits for Redis: the others together do not wait as often as there are of them.
    const laterMs = later.reduce((sum, ms) => sum + ms, 0);
    assert.ok(laterMs < first * later.length, `${first} ms, then ${laterMs} ms together`);
  });

  it("reads the database once for many readers while Redis is frozen", async () => {
    const { id } = await office.create({});
    redisLink.freeze();
    shop.statements.length = 0;
    await Promise.all(Array.from({ length: 50 }, () => get(id)));
    assert.deepEqual(requestStatements(), ["product.find", "product.find_skus"]);
  });

  it("answers as ever while Redis is gone, changes included", async () => {
    const { id } = await office.create({});
    redisLink.cut();
    await get(id);
    const changed = await shop.as("admin", "product.update", { id, name: "Without Redis" });
    assert.deepEqual(await get(id), changed);
    assert.deepEqual(await shop.as("public", "product.hot", {}), { items: [] });
  });

  it("goes on answering what is cached while the database is gone", async () => {
    const product = await office.create({});
    const uncached = await office.create({});
    await get(product.id, office);
    await eventually(() => cachedText(product.id), { timeoutMs: 2_000, what: "it is cached" });
    mysqlLink.cut();
    assert.deepEqual(await get(product.id), product);
    await assert.rejects(get(uncached.id), (error) =>
      isPlatformError(error, "SERVICE_UNAVAILABLE", "OVERLOADED"),
    );
  });

  it("outdates a cached product by the event alone, when the changing node could not", async () => {
    const { id } = await office.create({});
    await get(id, office);
    await eventually(() => cachedText(id), { timeoutMs: 2_000, what: "it is cached" });
    redisLink.cut();
    await shop.as("admin", "product.update", { id, name: "Told by the event" });
    await eventually(async () => !(await isOldVersionCached(id)), {
      timeoutMs: 3_000,
      what: "the old version is out of Redis",
    });
    assert.equal((await get(id, office)).name, "Told by the event");
  });

  it("deletes once more a little later, for whatever the first delete missed", async () => {
    const { id } = await office.create({});
    const key = `${schemas.settings.NAMESPACE}:product:detail:{${id}}`;
    await get(id, office);
    await eventually(() => cachedText(id), { timeoutMs: 2_000, what: "it is cached" });
    const old = await cachedText(id);
    await office.as("admin", "product.update", { id, name: "New" });
    const database = office.node.database("product");
    const due = async () =>
      await database.row({
        name: "test.due",
        sql: `SELECT version FROM cache_invalidations WHERE product_id = ${id}`,
      });
    await eventually(due, { timeoutMs: 3_000, what: "the second delete is a row" });
    // What a lost Redis and a slow reader together could do: the old version is back.
    const redis = office.node.redis();
    await whenRedisReady(redis, 2_000);
    await redis.set(key, old ?? "");
    await eventually(async () => !(await isOldVersionCached(id)), {
      timeoutMs: 8_000,
      what: "the old version is out of Redis again",
    });
    await eventually(async () => (await due()) === undefined, {
      timeoutMs: 2_000,
      what: "the row is done",
    });
  });
});
