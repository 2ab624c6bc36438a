import assert from "node:assert/strict";
import type { Product } from "../../services/contracts/product.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { createProductReader, MEMORY_TTL_MS } from "../../services/product/product-reader.ts";

function product(id: string, version = 1): Product {
  return {
    id,
    name: `product ${id}`,
    description: "",
    category_id: null,
    price: 100,
    status: "listed",
    skus: [{ id: `${id}0`, attributes: {}, price: 100 }],
    version,
    created_at: "2026-01-01T00:00:00.000Z",
    updated_at: "2026-01-01T00:00:00.000Z",
  };
}

/** Ports that count how often they are asked, and a database that answers when it is told to. */
function setup({ cached = [] as Product[], known = true } = {}) {
  const time = { nowMs: 0 };
  const clock: Clock = { now: () => time.nowMs, monotonic: () => time.nowMs };
  const asked = { cache: 0, database: 0 };
  const stored: Product[] = [];
  const added: string[] = [];
  let row: Product | undefined;
  let gate: Promise<void> = Promise.resolve();
  const tally = { memory: 0, redis: 0, database: 0 };
  const reader = createProductReader({
    clock,
    tally,
    filter: { mayExist: () => known, add: (ids) => void added.push(...ids) },
    cache: {
      read: (ids) => {
        asked.cache += 1;
        return Promise.resolve(cached.filter(({ id }) => ids.includes(id)));
      },
      store: (one) => Promise.resolve(void stored.push(one)),
      outdate: () => Promise.resolve(true),
    },
    products: {
      async find(ids) {
        asked.database += 1;
        const answer = row;
        await gate;
        return answer !== undefined && ids.includes(answer.id) ? [answer] : [];
      },
    },
  });
  return {
    reader,
    tally,
    time,
    asked,
    stored,
    added,
    holdsRow: (next: Product | undefined) => void (row = next),
    answersAfter: (held: Promise<void>) => void (gate = held),
  };
}

describe("reading a product", () => {
  it("asks neither cache nor database for an id that surely does not exist", async () => {
    const { reader, asked } = setup({ known: false });
    assert.equal(await reader.find("1"), undefined);
    assert.deepEqual(asked, { cache: 0, database: 0 });
  });

  it("does not ask the database for what is cached", async () => {
    const { reader, asked } = setup({ cached: [product("1")] });
    assert.equal((await reader.find("1"))?.id, "1");
    assert.deepEqual(asked, { cache: 1, database: 0 });
  });

  it("asks the database once for all who ask at once, and caches the answer", async () => {
    const { reader, asked, stored, holdsRow } = setup();
    holdsRow(product("1"));
    const found = await Promise.all(Array.from({ length: 50 }, () => reader.find("1")));
    assert.ok(found.every((one) => one?.id === "1"));
    assert.deepEqual(asked, { cache: 1, database: 1 });
    assert.equal(stored.length, 1);
  });

  it("remembers an answer for its time and not longer", async () => {
    const { reader, asked, time, holdsRow } = setup();
    holdsRow(product("1"));
    await reader.find("1");
    time.nowMs = MEMORY_TTL_MS - 1;
    await reader.find("1");
    assert.equal(asked.database, 1);
    time.nowMs = MEMORY_TTL_MS;
    await reader.find("1");
    assert.equal(asked.database, 2);
  });

  it("remembers that there is no such product, until it appears", async () => {
    const { reader, asked, added, holdsRow } = setup();
    assert.equal(await reader.find("1"), undefined);
    assert.equal(await reader.find("1"), undefined);
    assert.equal(asked.database, 1);
    holdsRow(product("1"));
    reader.appear(["1"]);
    assert.equal((await reader.find("1"))?.id, "1");
    assert.deepEqual(added, ["1"]);
  });

  it("gives out the new version as soon as the old one is known to be outdated", async () => {
    const { reader, holdsRow } = setup();
    holdsRow(product("1", 1));
    await reader.find("1");
    holdsRow(product("1", 2));
    reader.outdate("1", 2);
    assert.equal((await reader.find("1"))?.version, 2);
  });

  it("passes over a cached version that is known to be outdated", async () => {
    const { reader, asked, holdsRow } = setup({ cached: [product("1", 1)] });
    holdsRow(product("1", 2));
    reader.outdate("1", 2);
    assert.equal((await reader.find("1"))?.version, 2);
    assert.equal(asked.database, 1);
  });

  it("forgets a read that was overtaken by a change, and does not cache it", async () => {
    const { reader, stored, holdsRow, answersAfter } = setup();
    let release: () => void = () => undefined;
    answersAfter(new Promise((resolve) => (release = resolve)));
    holdsRow(product("1", 1));
    const slow = reader.find("1");
    await new Promise(setImmediate);
    reader.outdate("1", 2);
    holdsRow(product("1", 2));
    release();
    assert.equal((await slow)?.version, 1);
    assert.deepEqual(stored, []);
    assert.equal((await reader.find("1"))?.version, 2);
  });

  it("ignores the hint of a change it has seen already", async () => {
    const { reader, asked, holdsRow } = setup();
    holdsRow(product("1", 2));
    await reader.find("1");
    reader.outdate("1", 2);
    reader.outdate("1", 1);
    await reader.find("1");
    assert.equal(asked.database, 1);
  });

  it("answers many ids in their order, without those that do not exist", async () => {
    const { reader, holdsRow } = setup({ cached: [product("3"), product("1")] });
    holdsRow(product("2"));
    const found = await reader.findAll(["1", "9", "2", "3"]);
    assert.deepEqual(
      found.map(({ id }) => id),
      ["1", "2", "3"],
    );
  });

  it("gives out objects that nobody can change", async () => {
    const { reader, holdsRow } = setup();
    holdsRow(product("1"));
    const found = await reader.find("1");
    assert.throws(() => {
      found!.skus[0]!.price = 1;
    }, TypeError);
  });

  it("lets the next reader try again after a failed read", async () => {
    const { reader, holdsRow, answersAfter } = setup();
    holdsRow(product("1"));
    answersAfter(Promise.reject(new Error("away")));
    await assert.rejects(reader.find("1"), /away/);
    answersAfter(Promise.resolve());
    assert.equal((await reader.find("1"))?.id, "1");
  });
});
