// The lesson of `npm run demo:sale -- --strategy naive`: on a real server, reading and then writing sells
// the same unit twice, whatever the isolation of its transaction.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { type BuyerPlan, planCrowd } from "../../scripts/demo/buyer-plan.ts";
import { describeNaive, isExact, runNaiveCrowd } from "../../scripts/demo/naive-crowd.ts";
import { type NaiveSale, openNaiveSale } from "../../scripts/demo/naive-sale.ts";
import { testServers } from "../support/servers.ts";

describe("the naive sale of the demonstration", () => {
  let sale: NaiveSale | undefined;
  let namespace: string;

  beforeEach(() => {
    namespace = `t${randomBytes(5).toString("hex")}`;
  });
  afterEach(async () => {
    await sale?.close();
    sale = undefined;
  });

  async function open(units: number, afterRead?: () => Promise<void>): Promise<NaiveSale> {
    const { mysqlUrl } = await testServers();
    const hook = afterRead === undefined ? {} : { afterRead };
    sale = await openNaiveSale({ mysqlUrl, namespace, units, ...hook });
    return sale;
  }

  it("sells one unit to everybody who reads before anybody writes", async () => {
    const buyers = [1, 2, 3];
    const naive = await open(1, meetingOf(buyers.length));
    const answers = await Promise.all(buyers.map((buyer) => naive.buy(buyer)));
    assert.deepEqual(answers, ["bought", "bought", "bought"]);
    // Its own counter shows nothing of it.
    assert.deepEqual(await naive.tally(), { remaining: 0, orders: 3, buyers: 3 });
  });

  it("gives a buyer who clicks twice two units", async () => {
    const naive = await open(5, meetingOf(2));
    assert.deepEqual(await Promise.all([naive.buy(7), naive.buy(7)]), ["bought", "bought"]);
    assert.deepEqual(await naive.tally(), { remaining: 4, orders: 2, buyers: 1 });
  });

  it("is exact as long as they come one after the other, and then calls it luck", async () => {
    const naive = await open(2);
    const answers = [];
    for (const buyer of [1, 1, 2, 3]) answers.push(await naive.buy(buyer));
    assert.deepEqual(answers, ["bought", "already", "bought", "sold out"]);
    const result = { ...(await naive.tally()), units: 2, attempts: 4, oversold: 0, repeated: 0 };
    assert.ok(isExact(result));
    assert.match(describeNaive(result), /PASS, by luck/);
  });

  it("counts what a crowd was sold too much, says that it was to be expected, and leaves nothing", async () => {
    const crowd = { buyers: 4, ratePerS: 1_000, seed: 1, paymentWindowMs: 1_000 };
    const plans = planCrowd(crowd).map((plan): BuyerPlan => ({ ...plan, clicks: 1 }));
    const naive = await open(1, meetingOf(plans.length));
    const result = await runNaiveCrowd(naive, plans, 1);
    assert.deepEqual(result, {
      ...{ units: 1, attempts: 4, orders: 4, buyers: 4 },
      ...{ remaining: 0, oversold: 3, repeated: 0 },
    });
    assert.ok(!isExact(result));
    const text = describeNaive(result);
    assert.match(text, /FAIL, as expected/);
    assert.match(text, /4 orders for 1 units: 3 units were sold that were not there/);
    await naive.close();
    sale = undefined;
    assert.deepEqual(await schemasOf(namespace), []);
  });
});

/** Lets nobody go on before all of them have come. */
function meetingOf(people: number): () => Promise<void> {
  let come = 0;
  let open: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  return async () => {
    come += 1;
    if (come === people) open();
    await all;
  };
}

async function schemasOf(namespace: string): Promise<readonly string[]> {
  const { mysqlUrl } = await testServers();
  const admin = await createConnection(mysqlUrl);
  const [rows] = await admin.query<RowDataPacket[]>("SHOW DATABASES LIKE ?", [`${namespace}%`]);
  await admin.end();
  return rows.map((row) => String(Object.values(row)[0]));
}
