import assert from "node:assert/strict";
import {
  grantWorkerLease,
  HIGH_WATER_AHEAD_MS_MAX,
  WORKER_LEASE_MS,
} from "../../services/user/domain/worker-lease.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const FREE = {
  workerId: 4,
  owner: "a",
  leaseUntilMs: NOW_MS - 1,
  floorMs: 10,
  highWaterMs: NOW_MS - 100,
};

describe("the lease of a worker id", () => {
  it("goes to a new owner above everything the last one may have minted", () => {
    const row = grantWorkerLease(FREE, { owner: "b", highWaterMs: NOW_MS + 10_000 }, NOW_MS);
    assert.deepEqual(row, {
      workerId: 4,
      owner: "b",
      leaseUntilMs: NOW_MS + WORKER_LEASE_MS,
      floorMs: NOW_MS - 100,
      highWaterMs: NOW_MS + 10_000,
    });
  });

  it("is refused to another owner while it holds", () => {
    const held = { ...FREE, leaseUntilMs: NOW_MS + 1 };
    assert.equal(grantWorkerLease(held, { owner: "b", highWaterMs: NOW_MS }, NOW_MS), undefined);
  });

  it("is renewed for its owner, also late, with the floor it had", () => {
    const row = grantWorkerLease(FREE, { owner: "a", highWaterMs: NOW_MS + 10_000 }, NOW_MS);
    assert.equal(row?.floorMs, 10);
    assert.equal(row.highWaterMs, NOW_MS + 10_000);
  });

  it("never lowers the high-water mark and leaves a slow clock room above the floor", () => {
    const request = { owner: "a", highWaterMs: NOW_MS - 1_000_000 };
    const renewed = grantWorkerLease(FREE, request, NOW_MS);
    assert.equal(renewed?.highWaterMs, FREE.highWaterMs);
    const taken = grantWorkerLease(FREE, { ...request, owner: "b" }, NOW_MS);
    assert.ok(taken !== undefined && taken.highWaterMs > taken.floorMs);
  });

  it("does not let a clock that is ahead use a worker id up", () => {
    const year = 365 * 86_400_000;
    const row = grantWorkerLease(FREE, { owner: "b", highWaterMs: NOW_MS + year }, NOW_MS);
    assert.equal(row?.highWaterMs, NOW_MS + HIGH_WATER_AHEAD_MS_MAX);
  });
});
