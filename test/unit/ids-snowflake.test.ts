import assert from "node:assert/strict";
import {
  createSnowflakeCounter,
  SNOWFLAKE_EPOCH_MS,
  snowflakeParts,
  WORKER_IDS,
} from "../../services/kernel/snowflake.ts";
import { must } from "../../services/kernel/assert.ts";

const START_MS = Date.UTC(2026, 0, 1);
const PER_MS = 4_096;

function counter(span: { floorMs?: number; highWaterMs?: number; workerId?: number } = {}) {
  const { floorMs = START_MS, highWaterMs = START_MS + 10_000, workerId = 7 } = span;
  const made = createSnowflakeCounter({ workerId, floorMs, highWaterMs });
  return {
    ...made,
    mint: (nowMs: number) => snowflakeParts(must(made.next(nowMs), "an id")),
  };
}

describe("snowflake ids", () => {
  it("are decimal strings of 63 bits that hold time, worker and sequence", () => {
    const ids = counter();
    const id = must(ids.next(START_MS + 5), "an id");
    assert.match(id, /^[1-9][0-9]{0,18}$/);
    assert.ok(BigInt(id) < 2n ** 63n);
    assert.deepEqual(snowflakeParts(id), { timeMs: START_MS + 5, workerId: 7, sequence: 0 });
    assert.equal(ids.mint(START_MS + 5).sequence, 1);
  });

  it("fit into 63 bits at the end of time and with the last worker id", () => {
    const end = SNOWFLAKE_EPOCH_MS + 2 ** 41 - 1;
    const ids = createSnowflakeCounter({
      workerId: WORKER_IDS - 1,
      floorMs: end - 1,
      highWaterMs: end,
    });
    assert.ok(BigInt(must(ids.next(end), "an id")) < 2n ** 63n);
  });

  it("stay above the floor even when the clock is behind it", () => {
    const ids = counter({ floorMs: START_MS + 1_000 });
    assert.equal(ids.mint(START_MS).timeMs, START_MS + 1_001);
  });

  it("go on counting when the clock steps back", () => {
    const ids = counter();
    const before = ids.mint(START_MS + 100);
    assert.deepEqual(ids.mint(START_MS - 3_600_000), { ...before, sequence: 1 });
  });

  it("take the next millisecond when one is used up", () => {
    const ids = counter();
    for (let n = 0; n < PER_MS; n += 1) ids.mint(START_MS + 1);
    assert.deepEqual(ids.mint(START_MS + 1), {
      timeMs: START_MS + 2,
      workerId: 7,
      sequence: 0,
    });
  });

  it("use up the window when the clock is beyond it, then end", () => {
    const ids = counter({ highWaterMs: START_MS + 2 });
    for (let n = 0; n < 2 * PER_MS; n += 1) {
      assert.ok(ids.mint(START_MS + 60_000).timeMs <= START_MS + 2);
    }
    assert.equal(ids.next(START_MS + 60_000), undefined);
    ids.raise(START_MS + 3);
    assert.equal(ids.mint(START_MS + 60_000).timeMs, START_MS + 3);
  });

  it("never lower a window", () => {
    const ids = counter({ highWaterMs: START_MS + 2 });
    ids.raise(START_MS + 1);
    assert.equal(ids.mint(START_MS + 2).timeMs, START_MS + 2);
  });

  it("go on above everything minted when another worker id is taken", () => {
    const ids = counter();
    ids.mint(START_MS + 500);
    ids.move({ workerId: 3, floorMs: START_MS, highWaterMs: START_MS + 10_000 });
    assert.deepEqual(ids.mint(START_MS + 400), {
      timeMs: START_MS + 501,
      workerId: 3,
      sequence: 0,
    });
  });
});
