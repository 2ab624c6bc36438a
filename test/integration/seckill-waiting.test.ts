// A buyer whose commit takes its time is told "waiting", whichever node he asks.
import assert from "node:assert/strict";
import { SECKILL_FAILPOINTS } from "../../services/seckill/failpoints.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createFaults, type Faults } from "../support/faults.ts";
import { newCustomer, type ShopNode, shopNode } from "../support/order-shop.ts";
import { buyAs, openSale, SALE_SCHEMAS, SALE_UNITS } from "../support/sale-shop.ts";

const SETTLE_MS = 15_000;

describe("an attempt that runs on another node", function () {
  this.timeout(60_000);
  let schemas: TestDatabase;
  let shop: ShopNode;
  let other: ShopNode;
  let faults: Faults;

  before(async () => {
    schemas = await testDatabase({ services: SALE_SCHEMAS });
    faults = createFaults();
    shop = await shopNode(schemas, { units: SALE_UNITS, failpoint: faults.failpoint });
    // Knows the sale and its rows, and nothing of what the first node is in the middle of.
    other = await shopNode(schemas, { units: ["seckill"] });
    await other.node.broker.waitForServices(["order", "seckill", "user"], SETTLE_MS);
  });
  after(async () => {
    await other.stop();
    await shop.stop();
    await schemas.drop();
  });

  it("is waiting wherever its buyer asks, until it is committed", async () => {
    const sale = await openSale(shop, { strategy: "database" });
    const buyer = newCustomer();
    const nodeID = other.node.nodeId;
    const mine = async (): Promise<string> => {
      const token = other.node.tokens.sign({ userId: buyer.id, role: "customer", familyId: "1" });
      const options = { nodeID, meta: { token } };
      const answer = await other.node.broker.call("seckill.mine", { id: sale.id }, options);
      return (answer as { status: string }).status;
    };
    assert.equal(await mine(), "none");
    const paused = faults.pauseOnce(SECKILL_FAILPOINTS.admitAfterGate);
    const bought = buyAs(shop, sale.id, buyer);
    await paused.reached;
    assert.equal(await mine(), "waiting");
    paused.resume();
    await bought;
    await eventually(async () => (await mine()) === "pending_payment", {
      timeoutMs: SETTLE_MS,
      what: "the other node tells the order",
    });
  });
});
