import assert from "node:assert/strict";
import {
  HIGH_WATER_AHEAD_MS,
  LEASE_MARGIN_MS,
  type WorkerLeaseReply,
  type WorkerLeaseRequest,
} from "../../mixins/ids/leased-counter.ts";
import { createIds } from "../../mixins/ids/snowflake-ids.ts";
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import { snowflakeParts } from "../../services/kernel/snowflake.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/database.ts";

const START_MS = Date.UTC(2026, 0, 1);
const LEASE_MS = 15_000;

/** Ids over a lease that the test answers, with a clock that the test moves. */
function setUp(answer: (request: WorkerLeaseRequest, nth: number) => WorkerLeaseReply | Error) {
  const time = { wallMs: START_MS, monotonicMs: 0 };
  const requests: WorkerLeaseRequest[] = [];
  const ids = createIds({
    lease(request) {
      requests.push(request);
      const reply = answer(request, requests.length);
      return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
    },
    clock: { now: () => time.wallMs, monotonic: () => time.monotonicMs },
    owner: "node-1:a",
    log: silentLog,
    random: () => 0,
    renewIntervalMs: 5,
  });
  return { ids, time, requests };
}

const granted = (request: WorkerLeaseRequest, workerId = 5, floorMs = 0): WorkerLeaseReply => ({
  worker_id: workerId,
  floor_ms: floorMs,
  high_water_ms: request.high_water_ms,
  lease_ms: LEASE_MS,
});
const isAway = (error: unknown): boolean => isPlatformError(error, "SERVICE_UNAVAILABLE");

describe("leased ids", () => {
  let stop = (): void => undefined;
  afterEach(() => stop());

  it("refuse before the first lease and mint after it", async () => {
    const { ids, requests } = setUp((request) => granted(request));
    stop = () => ids.stop();
    assert.throws(() => ids.next(), isAway);
    await assert.rejects(ids.probe(), isAway);
    await ids.start();
    await ids.probe();
    assert.deepEqual(requests, [
      { owner: "node-1:a", high_water_ms: START_MS + HIGH_WATER_AHEAD_MS },
    ]);
    assert.equal(snowflakeParts(ids.next()).workerId, 5);
  });

  it("try again until somebody answers", async () => {
    const { ids, requests } = setUp((request, nth) =>
      nth < 3 ? new PlatformError("SERVICE_UNAVAILABLE") : granted(request),
    );
    stop = () => ids.stop();
    await ids.start();
    assert.equal(requests.length, 3);
    ids.next();
  });

  it("refuse before the database would give the worker id away", async () => {
    const { ids, time } = setUp((request) => granted(request));
    stop = () => ids.stop();
    await ids.start();
    time.monotonicMs = LEASE_MS - LEASE_MARGIN_MS - 1;
    ids.next();
    time.monotonicMs += 1;
    assert.throws(() => ids.next(), isAway);
    await assert.rejects(ids.probe(), isAway);
  });

  it("mint on when the wall clock steps back an hour, without repeating one", async () => {
    const { ids, time } = setUp((request) => granted(request));
    stop = () => ids.stop();
    await ids.start();
    const seen = new Set<string>();
    for (const wallMs of [START_MS, START_MS - 3_600_000, START_MS - 1, START_MS]) {
      time.wallMs = wallMs;
      for (let n = 0; n < 5_000; n += 1) seen.add(ids.next());
    }
    assert.equal(seen.size, 20_000);
  });

  it("renew with the worker id they hold and ask from the newest id on", async () => {
    const { ids, time, requests } = setUp((request) => granted(request));
    stop = () => ids.stop();
    await ids.start();
    time.wallMs = START_MS + 4_000;
    ids.next();
    time.wallMs = START_MS - 60_000;
    await eventually(() => requests.length > 1, { timeoutMs: 3_000, what: "a renewal" });
    assert.deepEqual(requests[1], {
      owner: "node-1:a",
      worker_id: 5,
      high_water_ms: START_MS + 4_000 + HIGH_WATER_AHEAD_MS,
    });
  });

  it("start above the floor when the worker id had another owner in between", async () => {
    const { ids, requests } = setUp((request, nth) =>
      granted(request, 5, nth === 1 ? 0 : START_MS + 9_000),
    );
    stop = () => ids.stop();
    await ids.start();
    ids.next();
    await eventually(() => requests.length > 1, { timeoutMs: 3_000, what: "a renewal" });
    await eventually(() => snowflakeParts(ids.next()).timeMs > START_MS + 9_000, {
      timeoutMs: 1_000,
      what: "an id above the other owner's",
    });
  });

  it("refuse after a stop", async () => {
    const { ids } = setUp((request) => granted(request));
    await ids.start();
    ids.stop();
    assert.throws(() => ids.next(), isAway);
  });
});
