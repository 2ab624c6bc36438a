// More buyers than units, all at once: exactly the units are sold, and everybody gets an answer.
import assert from "node:assert/strict";
import { API, openShop, type Shop } from "../support/shop.ts";

const BUYERS = 200;
const UNITS = 50;

describe("contention", function () {
  this.timeout(120_000);
  let shop: Shop;

  before(async () => {
    shop = await openShop();
  });

  after(() => shop.expectInvariants());

  it(`sells exactly ${String(UNITS)} units to ${String(BUYERS)} buyers at once`, async () => {
    const { skuId } = await shop.product(UNITS);
    const buyers = await shop.madeUpCustomers(BUYERS);
    const answers = await Promise.all(buyers.map((buyer) => shop.order(buyer, skuId)));
    const statuses = answers.map(({ status }) => status);
    const sold = statuses.filter((status) => status === 201).length;
    const refused = answers.filter(({ body }) => body.error === "INVENTORY_OUT_OF_STOCK").length;
    assert.deepEqual({ sold, refused }, { sold: UNITS, refused: BUYERS - UNITS });
    const stock = await shop.stock(skuId);
    assert.deepEqual([stock.available, stock.reserved], [0, UNITS]);
    await shop.whenStock(skuId, { available: UNITS, reserved: 0 });
  });

  it("gives an order all its lines or none", async () => {
    const [plenty, scarce] = [await shop.product(100), await shop.product(1)];
    const buyers = await shop.madeUpCustomers(20);
    const items = [
      { sku_id: plenty.skuId, quantity: 2 },
      { sku_id: scarce.skuId, quantity: 1 },
    ];
    const answers = await Promise.all(
      buyers.map((buyer) => buyer.create(`${API}/orders`, { items })),
    );
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    assert.equal((await shop.stock(plenty.skuId)).reserved, 2);
    assert.equal((await shop.stock(scarce.skuId)).reserved, 1);
  });
});
