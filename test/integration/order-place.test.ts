import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { errorDetails, isPlatformError } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import {
  ADMIN,
  newCustomer,
  placeHeaders,
  type ShopNode,
  type ShopUser,
  shopNode,
} from "../support/order-shop.ts";

const UNITS = ["user", "product", "inventory", "order", "payment"] as const;
/** A floating-point number does not tell it from the next hundreds. */
const FIRST_LARGE_ID = 9_000_000_000_000_000_000n;
const COPIED = `status, version, total_price, discount, refunded_amount, currency, expires_at`;
const COPY_ORDER = `INSERT INTO orders (id, user_id, ${COPIED})
  SELECT ?, ?, ${COPIED} FROM orders WHERE id = ?`;
const LINE = "line, sku_id, product_id, name, quantity, price";
const COPY_ITEMS = `INSERT INTO order_items (order_id, ${LINE})
  SELECT ?, ${LINE} FROM order_items WHERE order_id = ?`;

describe("placing an order", () => {
  let schemas: TestDatabase;
  let shop: ShopNode;

  before(async () => {
    schemas = await testDatabase({ services: UNITS });
    shop = await shopNode(schemas, { units: UNITS });
  });
  after(async () => {
    await shop.stop();
    await schemas.drop();
  });

  const rows = async <Row extends object>(text: string, params: unknown[]): Promise<Row[]> =>
    await shop.node.database("order").rows<Row>({ name: "test.read", sql: text }, params);
  const sagaOf = async (id: string): Promise<string | undefined> =>
    (await rows<{ status: string }>("SELECT status FROM sagas WHERE id = ?", [id]))[0]?.status;
  const refuses = (slug: Parameters<typeof isPlatformError>[1]) => (error: unknown) =>
    isPlatformError(error, must(slug, "a slug"));

  it("answers the server's own price and holds the stock until the deadline", async () => {
    const buyer = newCustomer();
    const [tea, cup] = [await shop.sell(10, 250), await shop.sell(4, 1_900)];
    const order = await shop.place(buyer, [
      { sku_id: tea, quantity: 3 },
      { sku_id: cup, quantity: 1 },
    ]);
    assert.equal(order.status, "pending_payment");
    assert.equal(order.total_price, 3 * 250 + 1_900);
    assert.deepEqual(
      order.items.map(({ sku_id, quantity, price }) => [sku_id, quantity, price]),
      [
        [tea, 3, 250],
        [cup, 1, 1_900],
      ],
    );
    const windowMs = Date.parse(order.expires_at) - Date.parse(order.updated_at);
    assert.equal(windowMs, shop.node.settings.ORDER_PAYMENT_WINDOW_MS);
    assert.deepEqual(await shop.as(buyer, "order.get", { id: order.id }), order);
    const stock = await shop.stockOf(tea);
    assert.deepEqual([stock.available, stock.reserved], [7, 3]);
    assert.equal(await sagaOf(order.id), "done");
    const history = await rows(
      "SELECT version, from_status, to_status, actor FROM order_events WHERE order_id = ?",
      [order.id],
    );
    assert.deepEqual(
      history.map((row) => Object.values(row) as unknown[]),
      [
        [1, null, "placing", `customer:${buyer.id}`],
        [2, "placing", "pending_payment", "system"],
      ],
    );
    const [event] = await rows<{ name: string; payload: string }>(
      "SELECT name, payload FROM outbox WHERE aggregate_id = ?",
      [order.id],
    );
    assert.equal(event?.name, "order.created.v1");
    const payload = JSON.parse(event.payload) as { expires_at: string; total_price: number };
    assert.deepEqual(
      [payload.expires_at, payload.total_price],
      [order.expires_at, order.total_price],
    );
  });

  it("makes one order of a double click and gives the first answer again", async () => {
    const buyer = newCustomer();
    const items = [{ sku_id: await shop.sell(9), quantity: 2 }];
    const key = randomUUID();
    const clicks = await Promise.allSettled([1, 2, 3].map(() => shop.place(buyer, items, key)));
    const placed = clicks.flatMap((click) => (click.status === "fulfilled" ? [click.value] : []));
    const refused = clicks.flatMap((click) =>
      click.status === "rejected" ? [click.reason as unknown] : [],
    );
    assert.equal(placed.length, 1);
    assert.ok(refused.every((error) => isPlatformError(error, "IDEMPOTENCY_IN_PROGRESS")));
    assert.equal(JSON.stringify(await shop.place(buyer, items, key)), JSON.stringify(placed[0]));
    const { total } = await shop.as(buyer, "order.list", {});
    assert.equal(total, 1);
    assert.equal((await shop.stockOf(must(items[0], "a line").sku_id)).reserved, 2);
  });

  it("places what is new in a rush in which others ask again", async () => {
    const items = [{ sku_id: await shop.sell(50), quantity: 1 }];
    const wishes = Array.from({ length: 8 }, () => ({ buyer: newCustomer(), key: randomUUID() }));
    const placeAll = (some: typeof wishes) =>
      Promise.all(some.map(({ buyer, key }) => shop.place(buyer, items, key)));
    const before = wishes.slice(0, 4);
    const first = await placeAll(before);
    const placed = await placeAll(wishes);
    assert.deepEqual(
      placed.slice(0, before.length).map(({ id }) => id),
      first.map(({ id }) => id),
    );
    assert.equal(new Set(placed.map(({ id }) => id)).size, wishes.length);
    assert.equal((await shop.stockOf(must(items[0], "a line").sku_id)).reserved, wishes.length);
  });

  it("gives the first answer again when the product can no longer be bought", async () => {
    const buyer = newCustomer();
    const skuId = await shop.sell(1);
    const items = [{ sku_id: skuId, quantity: 1 }];
    const key = randomUUID();
    const order = await shop.place(buyer, items, key);
    await shop.as(ADMIN, "product.takeOffShelf", { id: must(order.items[0], "a line").product_id });
    assert.deepEqual(await shop.place(buyer, items, key), order);
    await assert.rejects(shop.place(buyer, items), refuses("SKU_UNAVAILABLE"));
  });

  it("refuses a key that was used with another body", async () => {
    const buyer = newCustomer();
    const skuId = await shop.sell(5);
    const key = randomUUID();
    await shop.place(buyer, [{ sku_id: skuId, quantity: 1 }], key);
    await assert.rejects(
      shop.place(buyer, [{ sku_id: skuId, quantity: 2 }], key),
      refuses("IDEMPOTENCY_KEY_REUSED"),
    );
  });

  it("takes all lines or none, and remembers the refusal", async () => {
    const buyer = newCustomer();
    const [plenty, scarce] = [await shop.sell(5), await shop.sell(1)];
    const items = [
      { sku_id: plenty, quantity: 1 },
      { sku_id: scarce, quantity: 2 },
    ];
    const key = randomUUID();
    for (const stockBefore of [1, 9]) {
      await shop.as(ADMIN, "inventory.put", { sku_id: scarce, on_hand: stockBefore });
      await assert.rejects(shop.place(buyer, items, key), (error) => {
        assert.deepEqual(errorDetails(error), { sku_ids: [scarce] });
        return isPlatformError(error, "INVENTORY_OUT_OF_STOCK");
      });
    }
    assert.equal((await shop.stockOf(plenty)).reserved, 0);
    const { total } = await shop.as(buyer, "order.list", {});
    assert.equal(total, 0);
    const [failed] = await rows<{ id: string; status: string }>(
      "SELECT id, status FROM orders WHERE user_id = ?",
      [buyer.id],
    );
    assert.equal(failed?.status, "failed");
    assert.equal(await sagaOf(failed.id), "compensated");
    await assert.rejects(
      shop.as(buyer, "order.get", { id: failed.id }),
      refuses("ORDER_NOT_FOUND"),
    );
  });

  it("sells 50 units to exactly 50 of 200 buyers", async () => {
    const skuId = await shop.sell(50);
    const answers = await Promise.allSettled(
      Array.from({ length: 200 }, () =>
        shop.place(newCustomer(), [{ sku_id: skuId, quantity: 1 }]),
      ),
    );
    const placed = answers.filter(({ status }) => status === "fulfilled");
    const others = answers.flatMap((answer) =>
      answer.status === "rejected" ? [answer.reason as unknown] : [],
    );
    assert.equal(placed.length, 50);
    assert.ok(others.every((error) => isPlatformError(error, "INVENTORY_OUT_OF_STOCK")));
    const stock = await shop.stockOf(skuId);
    assert.deepEqual([stock.available, stock.reserved], [0, 50]);
  });

  it("refuses repeated SKUs, coupons and other people's addresses before anything is stored", async () => {
    const buyer = newCustomer();
    const skuId = await shop.sell(5);
    const line = { sku_id: skuId, quantity: 1 };
    const place = (params: object): Promise<unknown> =>
      shop.as(
        buyer,
        "order.place",
        { items: [line], ...params },
        placeHeaders(randomUUID(), JSON.stringify(params)),
      );
    await assert.rejects(place({ items: [line, line] }), (error) => {
      const [fault] = errorDetails(error) as { field: string }[];
      assert.equal(fault?.field, "items.1.sku_id");
      return isPlatformError(error, "VALIDATION_FAILED");
    });
    await assert.rejects(place({ coupon_code: "FREE" }), refuses("COUPON_UNKNOWN"));
    await assert.rejects(place({ address_id: "77" }), (error) => {
      const [fault] = errorDetails(error) as { field: string }[];
      assert.equal(fault?.field, "address_id");
      return isPlatformError(error, "VALIDATION_FAILED");
    });
    assert.deepEqual(await rows("SELECT id FROM orders WHERE user_id = ?", [buyer.id]), []);
  });

  it("shows an order to its buyer and to admins only", async () => {
    const buyer = newCustomer();
    const order = await shop.place(buyer, [{ sku_id: await shop.sell(1), quantity: 1 }]);
    assert.equal((await shop.as(ADMIN, "order.get", { id: order.id })).id, order.id);
    for (const action of ["order.get", "order.cancel", "order.pay", "order.complete"] as const) {
      await assert.rejects(
        shop.as(newCustomer(), action, { id: order.id }),
        refuses("ORDER_NOT_FOUND"),
      );
    }
  });

  it("shows 200 readers at once each the own order and nothing else", async () => {
    const skuId = await shop.sell(9);
    const buyers = [newCustomer(), newCustomer()] as const;
    const place = (buyer: ShopUser) => shop.place(buyer, [{ sku_id: skuId, quantity: 1 }]);
    const orders = [await place(buyers[0]), await place(buyers[1])] as const;
    const reads = Array.from({ length: 200 }, async (_, index) => {
      const [reader, order] = [buyers[index % 2]!, orders[index % 4 < 2 ? 0 : 1]];
      const isOwn = order.user_id === reader.id;
      const found = await shop.as(reader, "order.get", { id: order.id }).catch((error: unknown) => {
        if (isPlatformError(error, "ORDER_NOT_FOUND")) return undefined;
        throw error;
      });
      assert.deepEqual(found, isOwn ? order : undefined);
      return found;
    });
    const shownOrders = (await Promise.all(reads)).filter((order) => order !== undefined);
    assert.equal(shownOrders.length, 100);
    assert.equal((await shop.as(ADMIN, "order.get", { id: orders[0].id })).id, orders[0].id);
  });

  it("tells orders and buyers apart whose ids differ in the last digits", async () => {
    const sold = [{ sku_id: await shop.sell(1), quantity: 1 }];
    const { id: original } = await shop.place(newCustomer(), sold);
    const buyers = Array.from({ length: 16 }, (_, index): ShopUser => ({
      id: String(FIRST_LARGE_ID + BigInt(index)),
      role: "customer",
    }));
    for (const { id } of buyers) {
      await rows(COPY_ORDER, [id, id, original]);
      await rows(COPY_ITEMS, [id, original]);
    }
    const found = await Promise.all(
      buyers.map((buyer) => shop.as(buyer, "order.get", { id: buyer.id })),
    );
    assert.deepEqual(
      found.map(({ id, user_id: userId }) => [id, userId]),
      buyers.map(({ id }) => [id, id]),
    );
  });

  it("lists own orders by page and sort", async () => {
    const buyer = newCustomer();
    const [cheap, dear] = [await shop.sell(9, 100), await shop.sell(9, 900)];
    const ids: string[] = [];
    for (const skuId of [dear, cheap, dear]) {
      ids.push((await shop.place(buyer, [{ sku_id: skuId, quantity: 1 }])).id);
    }
    const newest = await shop.as(buyer, "order.list", { page_size: 2 });
    assert.deepEqual(
      newest.items.map(({ id }) => id),
      [ids[2], ids[1]],
    );
    assert.deepEqual([newest.page, newest.page_size, newest.total], [1, 2, 3]);
    const byPrice = await shop.as(buyer, "order.list", { sort: "total_price,asc" });
    assert.deepEqual(
      byPrice.items.map(({ total_price }) => total_price),
      [100, 900, 900],
    );
    assert.equal((await shop.as(buyer, "order.list", { status: "paid" })).total, 0);
  });

  it("prices lines and tells what is available without holding anything", async () => {
    const skuId = await shop.sell(2, 300);
    const preview = await shop.as(newCustomer(), "order.prepare", {
      items: [{ sku_id: skuId, quantity: 3 }],
    });
    assert.equal(preview.total_price, 900);
    assert.equal(preview.items[0]?.is_available, false);
    assert.equal((await shop.stockOf(skuId)).reserved, 0);
  });
});
