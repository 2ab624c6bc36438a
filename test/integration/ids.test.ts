import assert from "node:assert/strict";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { must } from "../../services/kernel/assert.ts";
import { snowflakeParts } from "../../services/kernel/snowflake.ts";
import { createWorkerLeaseRepository } from "../../services/user/worker-lease.repository.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type UserNode, userNode } from "../support/user.ts";

describe("worker ids", () => {
  let schemas: TestDatabase;
  let table: string;

  before(async () => {
    schemas = await testDatabase({ services: ["user"] });
    table = `${schemas.nameOf("user")}.worker_leases`;
  });
  after(() => schemas.drop());

  const leases = () => createWorkerLeaseRepository(schemas.database("user"));
  const end = (workerId: number) =>
    schemas.admin.query(
      `UPDATE ${table} SET lease_until = NOW(3) - INTERVAL 1 SECOND WHERE worker_id = ?`,
      [workerId],
    );

  it("go to one owner each when many ask at once", async () => {
    const granted = await Promise.all(
      Array.from({ length: 16 }, (_, n) => leases().lease(`owner-${n}`, Date.now() + 10_000)),
    );
    assert.equal(new Set(granted.map((lease) => lease.worker_id)).size, 16);
  });

  it("stay with an owner who asks again, also without naming the worker id", async () => {
    const first = await leases().lease("steady", Date.now() + 10_000);
    const second = await leases().lease("steady", Date.now() + 20_000);
    assert.equal(second.worker_id, first.worker_id);
    assert.equal(second.floor_ms, first.floor_ms);
    assert.ok(second.high_water_ms > first.high_water_ms);
  });

  it("give the next owner a floor above everything the last one may have minted", async () => {
    const first = await leases().lease("early", Date.now() + 10_000);
    // Every other worker id is taken, so that the next owner can only get this one.
    await schemas.admin.query(
      `UPDATE ${table} SET lease_until = NOW(3) + INTERVAL 1 HOUR WHERE worker_id <> ?`,
      [first.worker_id],
    );
    await assert.rejects(leases().lease("late", Date.now()), (error: unknown) =>
      isPlatformError(error, "OVERLOADED"),
    );
    await end(first.worker_id);
    const next = await leases().lease("late", Date.now());
    assert.equal(next.worker_id, first.worker_id);
    assert.equal(next.floor_ms, first.high_water_ms);
    assert.ok(next.high_water_ms > next.floor_ms);
    await schemas.admin.query(`UPDATE ${table} SET lease_until = NOW(3) - INTERVAL 1 HOUR`);
  });

  it("keep the ids of two nodes apart while both mint", async () => {
    const nodes = await Promise.all([userNode(schemas), userNode(schemas)]);
    const ids = new Set<string>();
    for (let n = 0; n < 20_000; n += 1) for (const { node } of nodes) ids.add(node.ids.next());
    assert.equal(ids.size, 40_000);
    const workers = nodes.map(({ node }) => snowflakeParts(node.ids.next()).workerId);
    assert.equal(new Set(workers).size, 2);
    await Promise.all(nodes.map((shop) => shop.stop()));
  });

  it("reach a node that runs no user service, and one that starts before it", async () => {
    const early = await userNode(schemas, { overrides: { SERVICES: "user-worker" } });
    assert.throws(
      () => early.node.ids.next(),
      (error: unknown) => isPlatformError(error, "SERVICE_UNAVAILABLE"),
    );
    const probe = must(
      early.node.dependencies().find(({ name }) => name === "ids"),
      "the ids among the dependencies",
    );
    await assert.rejects(probe.probe());
    const shop: UserNode = await userNode(schemas);
    await eventually(() => early.node.ids.next(), { timeoutMs: 5_000, what: "an id" });
    await probe.probe();
    await Promise.all([early.stop(), shop.stop()]);
  });
});
