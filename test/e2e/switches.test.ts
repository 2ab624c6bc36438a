// What an operator turns on and off while the shop runs, over the public API of a launched platform:
// three processes, of which none but one keeps the rules.
import assert from "node:assert/strict";
import type { ListedBuyer, RuleChange, Switch } from "../../services/contracts/operations.ts";
import type { PageOf } from "../../services/kernel/schema.ts";
import { eventually } from "../support/eventually.ts";
import type { Answer, HttpClient } from "../support/http-client.ts";
import { buy, openSale, whenKnown } from "../support/open-sale.ts";
import { API, openShop, type ProductView, type Shop } from "../support/shop.ts";

const SWITCHES = `${API}/admin/switches`;
const LISTS = `${API}/admin/buyer-lists`;
/** The promise is a second; a busy test machine gets more. */
const IN_FORCE_TIMEOUT_MS = 10_000;

describe("the operator's rules", function () {
  this.timeout(120_000);
  let shop: Shop;
  const turnedOn = new Map<string, string | undefined>();

  before(async () => {
    shop = await openShop();
  });

  afterEach(async () => {
    for (const [name, target] of turnedOn) await turn(name, false, target);
    turnedOn.clear();
  });

  after(() => shop.expectInvariants());

  async function turn(name: string, isOn: boolean, target?: string, more = {}): Promise<Switch> {
    if (isOn) turnedOn.set(name, target);
    const body = { is_on: isOn, reason: "a test", ...(target === undefined ? {} : { target }) };
    const answer = await put<Switch>(`${SWITCHES}/${name}`, { ...body, ...more });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.data;
  }

  function put<T>(path: string, body: object): Promise<Answer<T>> {
    return shop.admin.send<T>("PUT", path, { body });
  }

  function whenAnswered(ask: () => Promise<Answer>, expected: string | number): Promise<Answer> {
    return eventually(
      async () => {
        const answer = await ask();
        return [answer.status, answer.body.error].includes(expected) ? answer : undefined;
      },
      { timeoutMs: IN_FORCE_TIMEOUT_MS, what: `it answers ${expected}`, intervalMs: 100 },
    );
  }

  it("stop orders and purchases of the whole shop, and let them go on", async () => {
    const buyer = await shop.customer();
    const other = await shop.customer();
    const { skuId } = await shop.product(5);
    const sale = await openSale(shop);
    await whenKnown(shop, sale.id);
    await turn("stop_orders", true);
    const refused = await whenAnswered(() => shop.order(buyer, skuId), "ORDERS_STOPPED");
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers["retry-after"]) >= 1);
    const atSale = await whenAnswered(() => buy(buyer, sale.id), "ORDERS_STOPPED");
    assert.ok(Number(atSale.headers["retry-after"]) >= 1);
    await turn("stop_orders", false);
    await whenAnswered(() => shop.order(other, skuId), 201);
    await whenAnswered(() => buy(other, sale.id), 202);
  });

  it("pause one sale and no other", async () => {
    const buyer = await shop.customer();
    const [paused, running] = [await openSale(shop), await openSale(shop)];
    await whenKnown(shop, paused.id);
    await whenKnown(shop, running.id);
    await turn("pause_sale", true, paused.id);
    await whenAnswered(() => buy(buyer, paused.id), "SECKILL_PAUSED");
    await whenAnswered(() => buy(buyer, running.id), 202);
    await turn("pause_sale", false, paused.id);
    await whenAnswered(() => buy(buyer, paused.id), 202);
  });

  it("disable a payment channel, so that the order waits for another", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(1);
    await turn("disable_channel", true, "mock");
    const order = await shop.placed(buyer, skuId);
    const pay = () => buyer.post(`${API}/orders/${order.id}/pay`);
    // An opened payment would be answered again, so the switch has to be in force first.
    await whenAnswered(
      () => buyer.post(`${API}/orders/${order.id}/pay`, { channel: "mock" }),
      "PAYMENT_CHANNEL_DISABLED",
    );
    await turn("disable_channel", false, "mock");
    await whenAnswered(pay, 201);
  });

  it("answer pages from copies with the stock they had while browsing is degraded", async () => {
    const visitor = shop.visitor();
    const { product, skuId } = await shop.product(7);
    const page = `${API}/products/${product.id}`;
    const seen = await visitor.get<ProductView>(page);
    assert.equal(seen.data.skus[0]?.available, 7);
    assert.equal(seen.headers["x-degraded"], undefined);
    await turn("degrade_browsing", true);
    await eventually(async () => (await visitor.get(page)).headers["x-degraded"] === "browsing", {
      timeoutMs: IN_FORCE_TIMEOUT_MS,
      what: "the page is a copy",
      intervalMs: 100,
    });
    await put(`${API}/inventory/${skuId}`, { on_hand: 3 });
    await shop.whenStock(skuId, { available: 3 });
    const copy = await visitor.get<ProductView>(page);
    assert.equal(copy.data.skus[0]?.available, 7, "the stock that was seen last");
    assert.ok(copy.headers["age"] !== undefined);
    await eventually(
      async () => (await shop.admin.get<ProductView>(page)).data.skus[0]?.available === 3,
      { timeoutMs: IN_FORCE_TIMEOUT_MS, what: "admins are shown what is", intervalMs: 100 },
    );
    await turn("degrade_browsing", false);
    await eventually(
      async () => (await visitor.get<ProductView>(page)).data.skus[0]?.available === 3,
      { timeoutMs: IN_FORCE_TIMEOUT_MS, what: "the page is fresh again", intervalMs: 100 },
    );
  });

  it("refuse a blocked buyer everywhere, and sell an invitation sale to its guests only", async () => {
    const [guest, stranger] = [await shop.customer(), await shop.customer()];
    const idOf = async (client: HttpClient) =>
      (await client.get<{ id: string }>(`${API}/users/me`)).data.id;
    const [guestId, strangerId] = [await idOf(guest), await idOf(stranger)];
    const sale = await openSale(shop);
    const { skuId } = await shop.product(5);
    await whenKnown(shop, sale.id);
    const list = (change: object) => put(LISTS, { reason: "a test", is_listed: true, ...change });
    await list({ list: "invited", sale_id: sale.id, user_ids: [guestId] });
    await whenAnswered(() => buy(stranger, sale.id), "SECKILL_NOT_INVITED");
    await whenAnswered(() => buy(guest, sale.id), 202);
    await list({ list: "blocked", user_ids: [strangerId] });
    await whenAnswered(() => shop.order(stranger, skuId), "BUYER_BLOCKED");
    const blocked = await shop.admin.get<PageOf<ListedBuyer>>(`${LISTS}?list=blocked`);
    assert.ok(blocked.data.items.some((one) => one.user_id === strangerId));
    await list({ list: "blocked", user_ids: [strangerId], is_listed: false });
    await whenAnswered(() => shop.order(stranger, skuId), 201);
  });

  it("limit the units of a SKU in one order, also when they come in two lines", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(50);
    const limit = `${API}/admin/purchase-limits/${skuId}`;
    const { status } = await put(limit, { per_order: 2, reason: "a test" });
    assert.equal(status, 200);
    const refused = await whenAnswered(
      () => shop.order(buyer, skuId, 3),
      "PURCHASE_LIMIT_EXCEEDED",
    );
    assert.deepEqual(refused.body.details, { sku_id: skuId, per_order: 2 });
    assert.equal((await shop.order(buyer, skuId, 2)).status, 201);
    await put(limit, { per_order: null, reason: "a test" });
    await whenAnswered(() => shop.order(buyer, skuId, 3), 201);
  });

  it("record who changed what, when and why, and end a switch that has a time", async () => {
    const { data: me } = await shop.admin.get<{ id: string }>(`${API}/users/me`);
    const on = await turn("stop_orders", true, undefined, { expires_in_s: 1, reason: "drill 7" });
    assert.equal(on.is_on, true);
    assert.equal(on.changed_by, me.id);
    const off = await eventually(
      async () => {
        const { data } = await shop.admin.get<{ items: Switch[] }>(SWITCHES);
        return data.items.find((one) => one.name === "stop_orders" && !one.is_on);
      },
      { timeoutMs: IN_FORCE_TIMEOUT_MS, what: "the switch goes off by itself", intervalMs: 100 },
    );
    assert.equal(off.source, "expiry");
    const { data } = await shop.admin.get<PageOf<RuleChange>>(
      `${API}/admin/rule-changes?kind=stop_orders`,
    );
    const [last, before] = data.items;
    assert.deepEqual([last?.source, last?.is_on, last?.changed_by], ["expiry", false, null]);
    assert.deepEqual([before?.reason, before?.changed_by], ["drill 7", me.id]);
  });

  it("refuse a target that does not fit, and everybody but admins", async () => {
    const faults: readonly (readonly [string, object])[] = [
      [`${SWITCHES}/pause_sale`, { is_on: true, reason: "x" }],
      [`${SWITCHES}/stop_orders`, { is_on: true, reason: "x", target: "1" }],
      [`${SWITCHES}/disable_channel`, { is_on: true, reason: "x", target: "cash" }],
      [`${SWITCHES}/stop_orders`, { is_on: true }],
      [LISTS, { list: "invited", user_ids: ["1"], is_listed: true, reason: "x" }],
      [LISTS, { list: "blocked", sale_id: "1", user_ids: ["1"], is_listed: true, reason: "x" }],
    ];
    for (const [path, body] of faults) {
      const { status } = await put(path, body);
      assert.equal(status, 422, `${path} ${JSON.stringify(body)}`);
    }
    const customer = await shop.customer();
    assert.equal((await customer.get(SWITCHES)).status, 403);
    assert.equal((await shop.visitor().get(SWITCHES)).status, 401);
  });
});
