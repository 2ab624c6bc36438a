// One shop over several node processes: an order is taken by one node's gateway and made by services
// on another, which is killed and started again while two instances of order and inventory serve.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Order } from "../../services/contracts/order.ts";
import { Cluster, type ClusterNode } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import type { HttpClient } from "../support/http-client.ts";
import { API, Shop, signedInAdmin } from "../support/shop.ts";

const FRONT = "gateway,user,product,payment,payment-worker,provider,auditor";
const BACK = "order,inventory,operations,order-worker,inventory-worker,user-worker,product-worker";
/** A killed node is noticed after its heartbeat, and its calls are given up by then. */
const FAILOVER_TIMEOUT_MS = 20_000;

describe("several nodes", function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let shop: Shop;
  let first: ClusterNode;

  before(async () => {
    cluster = await Cluster.create();
    const [front, back] = await Promise.all([
      cluster.start({ name: "front", services: FRONT }),
      cluster.start({ name: "back-1", services: BACK }),
    ]);
    first = back;
    await cluster.ready(front);
    shop = new Shop({ url: front.url, admin: await signedInAdmin(front.url) });
  });

  after(() => cluster.stop());

  /** Sends the same order again until it is decided, as a client with a key may. */
  function orderUntilDecided(buyer: HttpClient, skuId: string): Promise<Order> {
    const key = randomUUID();
    const body = { items: [{ sku_id: skuId, quantity: 1 }] };
    return eventually(
      async () => {
        const { status, data } = await buyer.send<Order>("POST", `${API}/orders`, { body, key });
        return status === 201 ? data : undefined;
      },
      { timeoutMs: FAILOVER_TIMEOUT_MS, what: "the order is placed", intervalMs: 200 },
    );
  }

  it("makes an order on a node that no client can reach", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(5);
    const order = await shop.placed(buyer, skuId);
    await shop.paid(buyer, order.id);
    await shop.whenStock(skuId, { on_hand: 4, reserved: 0 });
  });

  it("answers 503 while nobody can make orders, and makes them again when somebody can", async () => {
    const buyer = await shop.customer();
    const { skuId } = await shop.product(5);
    first.process.signal("SIGKILL");
    const refused = await shop.order(buyer, skuId);
    assert.equal(refused.status, 503);
    assert.ok(refused.headers["retry-after"] !== undefined);
    first = await cluster.start({ name: "back-1", services: BACK });
    await orderUntilDecided(buyer, skuId);
  });

  it("sells exactly the stock through two instances, one of which is killed half-way", async () => {
    const second = await cluster.start({ name: "back-2", services: BACK });
    const units = 30;
    const { skuId } = await shop.product(units);
    const buyers = await Promise.all(Array.from({ length: 6 }, () => shop.customer()));
    const orders = buyers.flatMap((buyer) =>
      Array.from({ length: 5 }, () => orderUntilDecided(buyer, skuId)),
    );
    await Promise.race(orders);
    second.process.signal("SIGKILL");
    const placed = await Promise.all(orders);
    assert.equal(new Set(placed.map(({ id }) => id)).size, units);
    const buyer = await shop.customer();
    assert.equal((await shop.order(buyer, skuId)).body.error, "INVENTORY_OUT_OF_STOCK");
    await shop.whenStock(skuId, { available: 0, reserved: units });
    await shop.expectInvariants();
  });
});
