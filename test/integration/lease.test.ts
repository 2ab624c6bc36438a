import assert from "node:assert/strict";
import { type Database, sql } from "../../mixins/database/database.ts";
import { createLease, type Lease } from "../../mixins/database/lease.ts";
import { type TestDatabase, testDatabase, silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

const DURATION_MS = 600;
const WAIT = { timeoutMs: 8_000 };

describe("a leader lease", () => {
  let schema: TestDatabase;
  const started: Lease[] = [];

  before(async function () {
    this.timeout(60_000);
    schema = await testDatabase({ services: ["order"] });
  });

  afterEach(async () => {
    await Promise.all(started.splice(0).map((lease) => lease.stop()));
    await schema.database("order").run(sql("clear", "DELETE FROM leases"));
  });

  after(async () => schema.drop());

  function start(owner: string, database: Database = schema.database("order")): Lease {
    const lease = createLease({
      database,
      name: "relay",
      owner,
      log: silentLog,
      durationMs: DURATION_MS,
    });
    started.push(lease);
    lease.start();
    return lease;
  }

  it("is held by one of many that want it", async () => {
    const leases = ["a", "b", "c", "d"].map((owner) => start(owner));
    await eventually(() => leases.some((lease) => lease.isHeld()), {
      ...WAIT,
      what: "one holds it",
    });
    const until = performance.now() + 2 * DURATION_MS;
    const holders = new Set<number>();
    await eventually(
      () => {
        holders.add(leases.filter((lease) => lease.isHeld()).length);
        return performance.now() > until;
      },
      { ...WAIT, what: "two durations have passed" },
    );
    assert.deepEqual([...holders], [1]);
  });

  it("goes to another at once when it is given back, with a higher fence", async () => {
    const first = start("a");
    await eventually(() => first.isHeld(), { ...WAIT, what: "the first holds it" });
    const fence = BigInt(first.fence()!);
    const second = start("b");
    await first.stop();
    assert.equal(first.isHeld(), false);
    await eventually(() => second.isHeld(), { ...WAIT, what: "the second holds it" });
    assert.ok(BigInt(second.fence()!) > fence);
  });

  it("is given up by a holder without a database before anybody else can have it", async () => {
    const own = schema.database("order", { poolSize: 1 });
    const first = start("a", own);
    await eventually(() => first.isHeld(), { ...WAIT, what: "the first holds it" });
    const fence = BigInt(first.fence()!);
    const second = start("b");
    await own.close();
    let believers = 0;
    await eventually(
      () => {
        believers = Math.max(believers, [first, second].filter((one) => one.isHeld()).length);
        return second.isHeld();
      },
      { ...WAIT, what: "the second holds it" },
    );
    assert.equal(believers, 1, "two believed in it at once");
    assert.ok(BigInt(second.fence()!) > fence);
  });
});
