// The node of flash sales is killed with SIGKILL in a sale's closing, in a give-back and in the loading of its
// gate, with promises standing. Afterwards every promise is kept, the audit holds, and every unit that is
// left can be bought. (Between gate, commit and answer: sale-kills.test.ts.)
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import type { Order } from "../../services/contracts/order.ts";
import type { Sale, SaleAudit } from "../../services/contracts/seckill.ts";
import { SECKILL_FAILPOINTS } from "../../services/seckill/failpoints.ts";
import { Cluster, type ClusterNode } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import type { HttpClient } from "../support/http-client.ts";
import { buy, openSale, SALES } from "../support/open-sale.ts";
import { testServers } from "../support/servers.ts";
import { API, Shop, signedInAdmin } from "../support/shop.ts";

const FRONT =
  "gateway,user,product,inventory,order,payment,operations,provider,auditor," +
  "user-worker,product-worker,inventory-worker,order-worker,payment-worker";
const SECKILL = "seckill,seckill-worker";
/** A lease, its recovery, the way back to the gate, and a busy machine. */
const RECOVERY_TIMEOUT_MS = 45_000;
const PROMISED = 2;
const UNITS = 5;

interface Promised {
  readonly buyer: HttpClient;
  readonly orderId: string;
}

interface Scene {
  readonly sale: Sale;
  readonly promises: readonly Promised[];
}

describe("crash points of a flash sale", function () {
  this.timeout(240_000);
  const namespace = `c${randomBytes(5).toString("hex")}`;
  let cluster: Cluster;
  let front: ClusterNode;
  let shop: Shop;
  let redis: Redis;

  before(async () => {
    cluster = await Cluster.create({
      NAMESPACE: namespace,
      ORDER_PAYMENT_WINDOW_MS: "600000",
    });
    front = await cluster.start({ name: "front", services: FRONT });
    const { redisUrl } = await testServers();
    redis = new Redis(redisUrl);
  });
  after(async () => {
    redis.disconnect();
    await cluster.stop();
  });

  /** Of flash sales; none of one test is left to the next, however it ended. */
  const nodes: ClusterNode[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.process.stop()));
  });

  async function startNode(name: string, crashAt = ""): Promise<ClusterNode> {
    const node = await cluster.start({ name, services: SECKILL, crashAt });
    nodes.push(node);
    if (crashAt === "") await cluster.ready(front);
    return node;
  }

  /** Asks until it is decided: the order the buyer has, also when an earlier answer was only "wait", or
   * the slug of the refusal. */
  function bought(buyer: HttpClient, saleId: string): Promise<string> {
    return eventually(
      async () => {
        const { status, data, body } = await buy(buyer, saleId);
        if (status === 202) return data.order_id;
        const held = body.details as { readonly order_id?: string } | null | undefined;
        return status === 409 ? (held?.order_id ?? body.error) : undefined;
      },
      { timeoutMs: RECOVERY_TIMEOUT_MS, what: "the buyer is answered", intervalMs: 200 },
    );
  }

  /** A sale behind its gate, some of its units promised, and nobody there who serves it any more. */
  async function sceneWithoutNode(): Promise<Scene> {
    const healthy = await startNode("seckill");
    shop = new Shop({ url: front.url, admin: await signedInAdmin(front.url) });
    // A node that has just come may not know yet where the others are.
    const sale = await eventually(
      () => openSale(shop, { quantity: UNITS }).catch(() => undefined),
      { timeoutMs: RECOVERY_TIMEOUT_MS, what: "a sale is open", intervalMs: 500 },
    );
    await eventually(async () => (await gateKeys(sale)).length > 0, {
      timeoutMs: RECOVERY_TIMEOUT_MS,
      what: "the gate is loaded",
      intervalMs: 100,
    });
    const promises: Promised[] = [];
    for (let count = 0; count < PROMISED; count += 1) {
      const buyer = await shop.customer();
      const orderId = await bought(buyer, sale.id);
      await shop.whenOrder(buyer, orderId, "pending_payment");
      promises.push({ buyer, orderId });
    }
    await healthy.process.stop();
    return { sale, promises };
  }

  const gateKeys = (sale: Sale): Promise<string[]> =>
    redis.keys(`${namespace}:seckill:*${sale.id}*`);

  /** What makes the node come to the point; sent again and again until it is dead. */
  const REACHED_BY: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
    closeAfterStart: ({ sale }) => shop.admin.post(`${SALES}/${sale.id}/close`),
    giveBackAfterCommit: ({ promises: [first] }) =>
      first!.buyer.post(`${API}/orders/${first!.orderId}/cancel`),
    // A gate that was lost is loaded anew.
    loadAfterEpoch: loseGate,
    loadAfterStock: loseGate,
  };

  async function loseGate({ sale }: Scene): Promise<void> {
    const keys = await gateKeys(sale);
    if (keys.length > 0) await redis.del(...keys);
    await buy(await shop.customer(), sale.id);
  }

  async function auditWhen(sale: Sale, isSo: (audit: SaleAudit) => boolean): Promise<SaleAudit> {
    return await eventually(
      async () => {
        const { status, data } = await shop.admin.get<SaleAudit>(`${SALES}/${sale.id}/audit`);
        return status === 200 && isSo(data) ? data : undefined;
      },
      { timeoutMs: RECOVERY_TIMEOUT_MS, what: "the audit is clean", intervalMs: 200 },
    );
  }

  /** Everybody may buy what is left, and nobody more than that. */
  async function sellTheRest({ sale }: Scene, left: number): Promise<void> {
    const buyers = await Promise.all(Array.from({ length: left + 1 }, () => shop.customer()));
    const answers = await Promise.all(buyers.map((buyer) => bought(buyer, sale.id)));
    const refused = answers.filter((answer) => answer === "SECKILL_SOLD_OUT");
    assert.deepEqual([answers.length - refused.length, refused.length], [left, 1], String(answers));
    const isSold = ({ live, holds }: SaleAudit): boolean => live === UNITS && holds;
    assert.equal((await auditWhen(sale, isSold)).remaining, 0);
  }

  for (const name of Object.keys(REACHED_BY)) {
    const point = SECKILL_FAILPOINTS[name as keyof typeof SECKILL_FAILPOINTS];
    it(`loses nothing when the node dies at ${point}`, async () => {
      const scene = await sceneWithoutNode();
      const { sale, promises } = scene;
      const doomed = await startNode("doomed", point);
      await eventually(
        async () => {
          if (doomed.process.isRunning()) await REACHED_BY[name]!(scene);
          return !doomed.process.isRunning();
        },
        { timeoutMs: RECOVERY_TIMEOUT_MS, what: `dead at ${point}`, intervalMs: 200 },
      );
      await startNode("seckill");
      const given = name === "giveBackAfterCommit" ? 1 : 0;
      if (name === "closeAfterStart") {
        await eventually(
          async () => {
            const { data } = await shop.admin.get<Sale>(`${SALES}/${sale.id}`);
            return data.status === "closed";
          },
          { timeoutMs: RECOVERY_TIMEOUT_MS, what: "the sale is closed", intervalMs: 200 },
        );
        const isReturned = ({ returned, holds }: SaleAudit): boolean => holds && returned > 0;
        const audit = await auditWhen(sale, isReturned);
        assert.deepEqual([audit.live, audit.returned], [PROMISED, UNITS - PROMISED]);
      } else {
        const audit = await auditWhen(
          sale,
          ({ holds, given_back: back }) => holds && back === given,
        );
        await sellTheRest(scene, UNITS - audit.live);
      }
      for (const [index, { buyer, orderId }] of promises.entries()) {
        const { data } = await buyer.get<Order>(`${API}/orders/${orderId}`);
        const isGiven = index < given;
        assert.deepEqual(
          [data.id, data.status],
          [orderId, isGiven ? "cancelled" : "pending_payment"],
        );
      }
    });
  }

  it("leaves a shop in which every invariant holds", async () => {
    await startNode("seckill");
    await shop.expectInvariants();
  });
});
