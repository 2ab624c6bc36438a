import assert from "node:assert/strict";
import { createRedis, whenRedisReady } from "../../mixins/redis/redis.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { createHotProducts } from "../../services/product/hot-products.ts";
import { createRedisGuard } from "../../services/product/redis-guard.ts";
import { silentLog, testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ProductNode, productNode } from "../support/product.ts";
import { testServers } from "../support/servers.ts";

const BUCKET_MS = 300_000;

describe("the hot list", () => {
  let schemas: TestDatabase;
  let shop: ProductNode;

  before(async () => {
    schemas = await testDatabase({ services: ["product"] });
    shop = await productNode(schemas);
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  it("shows what the public looks at most, listed products only", async () => {
    const products = await Promise.all(["A", "B", "C"].map((name) => shop.create({ name })));
    const [a, b, c] = products.map(({ id }) => id) as [string, string, string];
    const views = [
      [a, 2],
      [b, 5],
      [c, 9],
    ] as const;
    for (const [id, count] of views) {
      for (let view = 0; view < count; view += 1) await shop.as("public", "product.get", { id });
    }
    for (let view = 0; view < 20; view += 1) await shop.as("admin", "product.get", { id: a });
    await shop.as("admin", "product.takeOffShelf", { id: c });
    await eventually(
      async () => {
        const { items } = await shop.as("public", "product.hot", {});
        return items.map(({ id }) => id).join() === [b, a].join();
      },
      { timeoutMs: 9_000, what: "the list is B, A" },
    );
    const { items } = await shop.as("public", "product.hot", { limit: 1 });
    assert.deepEqual(
      items.map(({ id }) => id),
      [b],
    );
  });

  describe("over time", () => {
    const time = { nowMs: Date.now() };
    const clock = { ...systemClock, now: () => time.nowMs };
    const open: (() => void)[] = [];
    let namespace = "";

    beforeEach(() => {
      namespace = `${schemas.settings.NAMESPACE}${open.length}`;
    });
    after(() => {
      for (const close of open) close();
    });

    async function hotList() {
      const redis = createRedis((await testServers()).redisUrl, { name: "hot", log: silentLog });
      await whenRedisReady(redis, 2_000);
      const guard = createRedisGuard(redis, silentLog);
      open.push(() => guard.close());
      const hot = createHotProducts({ guard, namespace, clock });
      const view = async (id: string, count: number): Promise<void> => {
        for (let one = 0; one < count; one += 1) hot.view(id);
        await hot.flush();
      };
      return { hot, view };
    }

    it("weighs an older view less and forgets it after an hour", async () => {
      const { hot, view } = await hotList();
      await view("1", 10);
      time.nowMs += 4 * BUCKET_MS;
      await view("2", 6);
      await hot.rollUp();
      assert.deepEqual(await hot.top(), ["2", "1"]);
      time.nowMs += 9 * BUCKET_MS;
      await hot.rollUp();
      assert.deepEqual(await hot.top(), ["2"]);
    });

    it("is the same when it is rolled up twice, and by two nodes at once", async () => {
      const one = await hotList();
      const other = await hotList();
      await one.view("1", 3);
      await other.view("2", 4);
      await other.view("1", 2);
      await Promise.all([one.hot.rollUp(), other.hot.rollUp()]);
      await one.hot.rollUp();
      assert.deepEqual(await other.hot.top(), ["1", "2"]);
    });
  });
});
