// The order node is killed with SIGKILL between every two effects of an order's life. Afterwards
// nothing is lost, nothing is doubled, and every invariant holds.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Order } from "../../services/contracts/order.ts";
import { ORDER_FAILPOINTS } from "../../services/order/failpoints.ts";
import { Cluster, type ClusterNode } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import type { Answer, HttpClient } from "../support/http-client.ts";
import { API, Shop, signedInAdmin } from "../support/shop.ts";

const FRONT =
  "gateway,user,product,inventory,payment,operations,user-worker,product-worker,inventory-worker,payment-worker,provider,auditor";
const ORDER = "order,order-worker";
/** A lease of 10 s, its recovery, and a busy machine. */
const RECOVERY_TIMEOUT_MS = 45_000;
const STOCK = 100;

/** What a client does so that the node reaches the point. */
const REACHED_BY: Readonly<
  Record<keyof typeof ORDER_FAILPOINTS, "place" | "pay" | "cancel" | "wait">
> = {
  placeBeforeBegin: "place",
  placeAfterBegin: "place",
  placeAfterReserve: "place",
  placeAfterConfirm: "place",
  // Reached by the node that finds the placings which the ones above have left.
  placeAfterAbandon: "wait",
  placeAfterRelease: "wait",
  payAfterCreate: "pay",
  closeAfterStart: "cancel",
  closeAfterPayments: "cancel",
  closeAfterEnd: "cancel",
};

interface Attempt {
  readonly point: string;
  readonly buyer: HttpClient;
  readonly key: string;
  readonly kind: "place" | "pay" | "cancel" | "wait";
  orderId: string | undefined;
}

describe("crash points of an order", function () {
  this.timeout(240_000);
  let cluster: Cluster;
  let front: ClusterNode;
  let shop: Shop;
  let skuId: string;
  const attempts: Attempt[] = [];

  before(async () => {
    cluster = await Cluster.create({ ORDER_PAYMENT_WINDOW_MS: "600000" });
    front = await cluster.start({ name: "front", services: FRONT });
    const healthy = await cluster.start({ name: "order", services: ORDER });
    await cluster.ready(front);
    shop = new Shop({ url: front.url, admin: await signedInAdmin(front.url) });
    ({ skuId } = await shop.product(STOCK));
    await healthy.process.stop();
  });

  after(() => cluster.stop());

  function place({ buyer, key }: Attempt) {
    const body = { items: [{ sku_id: skuId, quantity: 1 }] };
    return buyer.send<Order>("POST", `${API}/orders`, { body, key });
  }

  /** Repeats until the answer is final: neither "try again" nor "still running". */
  async function decided(send: () => Promise<Answer<Order>>): Promise<Answer<Order>> {
    return eventually(
      async () => {
        const answer = await send();
        return answer.status < 500 && answer.status !== 409 ? answer : undefined;
      },
      { timeoutMs: RECOVERY_TIMEOUT_MS, what: "a final answer", intervalMs: 250 },
    );
  }

  /** Acts until the node is dead; what is sent while the one before it is still in the registry
   * never arrives. */
  async function actUntilDead(doomed: ClusterNode, attempt: Attempt): Promise<void> {
    if (attempt.kind === "pay" || attempt.kind === "cancel") {
      const { status, data } = await decided(() => place(attempt));
      assert.equal(status, 201);
      attempt.orderId = data.id;
    }
    await eventually(
      async () => {
        if (doomed.process.isRunning() && attempt.kind !== "wait") await act(attempt);
        return !doomed.process.isRunning();
      },
      { timeoutMs: RECOVERY_TIMEOUT_MS, what: `dead at ${attempt.point}`, intervalMs: 50 },
    );
  }

  async function act(attempt: Attempt): Promise<unknown> {
    if (attempt.kind === "place") return place(attempt);
    return attempt.buyer.post(`${API}/orders/${attempt.orderId ?? ""}/${attempt.kind}`);
  }

  for (const [name, point] of Object.entries(ORDER_FAILPOINTS)) {
    it(`kills the node at ${point}`, async () => {
      const kind = REACHED_BY[name as keyof typeof ORDER_FAILPOINTS];
      const buyer = await shop.customer();
      const attempt: Attempt = { point, buyer, key: randomUUID(), kind, orderId: undefined };
      const doomed = await cluster.start({ name: "doomed", services: ORDER, crashAt: point });
      // A node that dies of what it finds may be dead before the gateway knows it.
      if (kind !== "wait") await cluster.ready(front);
      await actUntilDead(doomed, attempt);
      if (kind !== "wait") attempts.push(attempt);
    });
  }

  it("has lost and doubled nothing when a healthy node has taken over", async () => {
    await cluster.start({ name: "order", services: ORDER });
    await cluster.ready(front);
    let live = 0;
    for (const attempt of attempts) {
      const { status, data } = await decided(() => place(attempt));
      assert.equal(status, 201, attempt.point);
      if (attempt.orderId !== undefined) assert.equal(data.id, attempt.orderId, attempt.point);
      const list = await attempt.buyer.get<{ total: number }>(`${API}/orders`);
      assert.equal(list.data.total, 1, attempt.point);
      if (attempt.kind === "cancel") {
        await decided(() => attempt.buyer.post(`${API}/orders/${data.id}/cancel`));
        await shop.whenOrder(attempt.buyer, data.id, "cancelled");
      } else live += 1;
      if (attempt.kind === "pay") {
        await shop.paid(attempt.buyer, data.id);
        live -= 1;
      }
    }
    const paid = attempts.filter(({ kind }) => kind === "pay").length;
    await shop.whenStock(skuId, {
      on_hand: STOCK - paid,
      reserved: live,
      available: STOCK - paid - live,
    });
    await shop.expectInvariants();
  });
});
