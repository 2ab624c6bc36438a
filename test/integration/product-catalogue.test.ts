import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { errorDetails, isPlatformError } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { type ProductNode, productNode } from "../support/product.ts";

describe("the product catalogue", () => {
  let schemas: TestDatabase;
  let shop: ProductNode;

  before(async () => {
    schemas = await testDatabase({ services: ["product"] });
    shop = await productNode(schemas, { services: ["product"] });
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  const outbox = async (productId: string): Promise<{ name: string; payload: string }[]> =>
    await shop.node.database("product").rows(
      {
        name: "test.outbox",
        sql: "SELECT name, payload FROM outbox WHERE aggregate_id = ? ORDER BY id",
      },
      [productId],
    );
  const keyed = (key: string, fingerprint = "a".repeat(64)) => ({
    idempotency_route: "POST /products",
    idempotency_key: key,
    idempotency_fingerprint: fingerprint,
  });

  it("shows a created product with its SKUs and tells inventory of their stock", async () => {
    const { product, opening_stock: stock } = await shop.as("admin", "product.create", {
      name: "Tea",
      description: "green",
      price: 900,
      skus: [
        { attributes: { size: "50 g" }, price: 900, stock: 7 },
        { attributes: { size: "10 g" }, price: 250, stock: 0 },
      ],
    });
    assert.deepEqual(await shop.as("public", "product.get", { id: product.id }), product);
    assert.equal(product.price, 250);
    assert.deepEqual(
      product.skus.map(({ attributes }) => attributes["size"]),
      ["50 g", "10 g"],
    );
    assert.deepEqual(
      stock,
      product.skus.map(({ id }, index) => ({ sku_id: id, stock: index === 0 ? 7 : 0 })),
    );
    const [created] = await outbox(product.id);
    assert.equal(created?.name, "product.created.v1");
    assert.deepEqual(JSON.parse(created.payload), { product_id: product.id, skus: stock });
  });

  it("makes one product of two requests with one key, and refuses another body", async () => {
    const key = randomUUID();
    const input = { name: "Once", price: 100 };
    const answers = await Promise.all([
      shop.as("admin", "product.create", input, keyed(key)),
      shop.as("admin", "product.create", input, keyed(key)),
    ]);
    assert.deepEqual(answers[0], answers[1]);
    const { total } = await shop.as("admin", "product.list", { q: "Once" });
    assert.equal(total, 1);
    await assert.rejects(
      shop.as("admin", "product.create", input, keyed(key, "b".repeat(64))),
      (error) => isPlatformError(error, "IDEMPOTENCY_KEY_REUSED"),
    );
  });

  it("lets nobody but an admin change anything", async () => {
    const { id } = await shop.create({});
    for (const [caller, slug] of [
      ["public", "AUTH_REQUIRED"],
      ["customer", "FORBIDDEN"],
    ] as const) {
      const attempts = [
        () => shop.as(caller, "product.create", { name: "x", price: 1 }),
        () => shop.as(caller, "product.update", { id, price: 1 }),
        () => shop.as(caller, "product.takeOffShelf", { id }),
        () => shop.as(caller, "product.createCategory", { name: "x" }),
      ];
      for (const attempt of attempts) {
        await assert.rejects(attempt(), (error) => isPlatformError(error, slug));
      }
    }
  });

  it("shows a change at once and tells of it with its version", async () => {
    const product = await shop.create({ name: "Old name" });
    await shop.as("public", "product.get", { id: product.id });
    const changed = await shop.as("admin", "product.update", { id: product.id, name: "New name" });
    assert.equal(changed.version, 2);
    assert.deepEqual(await shop.as("public", "product.get", { id: product.id }), changed);
    const events = await outbox(product.id);
    assert.deepEqual(
      events.map(({ name }) => name),
      ["product.created.v1", "product.changed.v1"],
    );
    assert.deepEqual(JSON.parse(must(events[1], "the change").payload), {
      product_id: product.id,
      version: 2,
    });
  });

  it("counts parallel changes one by one", async () => {
    const { id } = await shop.create({});
    await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        shop.as("admin", "product.update", { id, description: `text ${at}` }),
      ),
    );
    assert.equal((await shop.as("public", "product.get", { id })).version, 9);
  });

  it("hides what is off the shelf from the public, and from orders, but not from admins", async () => {
    const { id, skus } = await shop.create({ name: "Hidden treasure" });
    const skuId = must(skus[0], "the default SKU").id;
    await shop.as("admin", "product.takeOffShelf", { id });
    for (const caller of ["public", "customer"] as const) {
      await assert.rejects(shop.as(caller, "product.get", { id }), (error) =>
        isPlatformError(error, "PRODUCT_NOT_FOUND"),
      );
      const { total } = await shop.as(caller, "product.list", { q: "Hidden treasure" });
      assert.equal(total, 0);
    }
    assert.equal((await shop.as("admin", "product.get", { id })).status, "unlisted");
    const all = await shop.as("admin", "product.list", { status: "unlisted" });
    assert.deepEqual(
      all.items.map((item) => item.id),
      [id],
    );
    await assert.rejects(shop.as("public", "product.quote", { sku_ids: [skuId] }), (error) =>
      isPlatformError(error, "SKU_UNAVAILABLE"),
    );
    await shop.as("admin", "product.putOnShelf", { id });
    const back = await shop.as("admin", "product.putOnShelf", { id });
    assert.equal(back.version, 3);
    assert.equal((await shop.as("public", "product.get", { id })).status, "listed");
  });

  it("answers 404 for a product that does not exist, to readers and to admins", async () => {
    const id = shop.node.ids.next();
    for (const attempt of [
      () => shop.as("public", "product.get", { id }),
      () => shop.as("admin", "product.update", { id, price: 1 }),
      () => shop.as("admin", "product.putOnShelf", { id }),
    ]) {
      await assert.rejects(attempt(), (error) => isPlatformError(error, "PRODUCT_NOT_FOUND"));
    }
  });

  it("quotes name and price per SKU in the order asked, and names those it cannot", async () => {
    const one = await shop.create({
      name: "Coat",
      skus: [{ attributes: { colour: "red" }, price: 800, stock: 1 }],
    });
    const two = await shop.create({ name: "Hat", price: 300 });
    const ids = [two, one].map(({ skus }) => must(skus[0], "a SKU").id);
    const { lines } = await shop.as("public", "product.quote", { sku_ids: ids });
    assert.deepEqual(lines, [
      { sku_id: ids[0], product_id: two.id, name: "Hat", price: 300 },
      { sku_id: ids[1], product_id: one.id, name: "Coat (red)", price: 800 },
    ]);
    const unknown = shop.node.ids.next();
    await assert.rejects(
      shop.as("public", "product.quote", { sku_ids: [...ids, unknown] }),
      (error) => {
        assert.ok(isPlatformError(error, "SKU_UNAVAILABLE"));
        assert.deepEqual(errorDetails(error), { sku_ids: [unknown] });
        return true;
      },
    );
  });

  it("refuses a category that does not exist", async () => {
    const unknown = shop.node.ids.next();
    const { id } = await shop.create({});
    for (const attempt of [
      () => shop.create({ category_id: unknown }),
      () => shop.as("admin", "product.update", { id, category_id: unknown }),
    ]) {
      await assert.rejects(attempt(), (error) => isPlatformError(error, "VALIDATION_FAILED"));
    }
  });

  describe("as a list", () => {
    let category: string;
    const names = ["100% wool", "100 wool", "a_b", "axb", String.raw`c\d`];

    before(async () => {
      category = (await shop.as("admin", "product.createCategory", { name: "Listed" })).id;
      for (const [index, name] of names.entries()) {
        await shop.create({ name, price: 1_000 - index, category_id: category });
      }
    });

    const listed = async (query: object) => {
      const page = await shop.as("public", "product.list", { category_id: category, ...query });
      return { ...page, names: page.items.map(({ name }) => name) };
    };

    it("is the newest first, exactly counted, and the same over its pages", async () => {
      const all = await listed({});
      assert.deepEqual(all.names, names.toReversed());
      const pages = await Promise.all([1, 2, 3].map((page) => listed({ page, page_size: 2 })));
      assert.deepEqual(
        pages.flatMap((page) => page.names),
        names.toReversed(),
      );
      assert.ok(pages.every(({ total }) => total === names.length));
      assert.deepEqual((await listed({ page: 4, page_size: 2 })).items, []);
    });

    it("is sorted by price and by name, both ways", async () => {
      assert.deepEqual((await listed({ sort: "price,asc" })).names, names.toReversed());
      assert.deepEqual((await listed({ sort: "price,desc" })).names, names);
      const byName = (await listed({ sort: "name,asc" })).names;
      assert.deepEqual((await listed({ sort: "name,desc" })).names, byName.toReversed());
    });

    it("takes the characters of a search for what they are", async () => {
      assert.deepEqual((await listed({ q: "100%" })).names, ["100% wool"]);
      assert.deepEqual((await listed({ q: "a_b" })).names, ["a_b"]);
      assert.deepEqual((await listed({ q: String.raw`c\d` })).names, [String.raw`c\d`]);
      assert.deepEqual((await listed({ q: "WOOL" })).names, ["100 wool", "100% wool"]);
      assert.deepEqual((await listed({ q: "' OR 1=1 -- " })).names, []);
    });

    it("shows the public nothing of what is not listed, whatever it asks for", async () => {
      assert.deepEqual((await listed({ status: "unlisted" })).items, []);
      assert.equal((await listed({ status: "listed" })).total, names.length);
    });
  });

  describe("categories", () => {
    it("come as a tree, with a change visible at once", async () => {
      const root = await shop.as("admin", "product.createCategory", { name: "Root", position: 1 });
      const child = await shop.as("admin", "product.createCategory", {
        name: "Child",
        parent_id: root.id,
      });
      const tree = async () => {
        const { items } = await shop.as("public", "product.listCategories", {});
        return items.filter(({ id }) => id === root.id || id === child.id);
      };
      assert.deepEqual(await tree(), [root, child]);
      const renamed = await shop.as("admin", "product.updateCategory", { id: root.id, name: "R" });
      assert.deepEqual(await tree(), [renamed, child]);
    });

    it("never become a circle, also when two moves meet", async () => {
      const [one, two] = await Promise.all(
        ["One", "Two"].map((name) => shop.as("admin", "product.createCategory", { name })),
      );
      const a = must(one, "one").id;
      const b = must(two, "two").id;
      const moves = await Promise.allSettled([
        shop.as("admin", "product.updateCategory", { id: a, parent_id: b }),
        shop.as("admin", "product.updateCategory", { id: b, parent_id: a }),
      ]);
      assert.deepEqual(moves.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    });

    it("refuse a taken name, an unknown parent and an unknown category", async () => {
      await shop.as("admin", "product.createCategory", { name: "Taken" });
      const unknown = shop.node.ids.next();
      const attempts = [
        [
          "CATEGORY_NAME_TAKEN",
          () => shop.as("admin", "product.createCategory", { name: "taken" }),
        ],
        [
          "VALIDATION_FAILED",
          () => shop.as("admin", "product.createCategory", { name: "x", parent_id: unknown }),
        ],
        [
          "CATEGORY_NOT_FOUND",
          () => shop.as("admin", "product.updateCategory", { id: unknown, name: "x" }),
        ],
      ] as const;
      for (const [slug, attempt] of attempts) {
        await assert.rejects(attempt(), (error) => isPlatformError(error, slug));
      }
    });

    it("cannot be reached past the service's own actions", async () => {
      await assert.rejects(
        shop.broker.call<unknown, object>("product-categories.find", {}),
        /not found|not available/i,
      );
    });
  });
});
