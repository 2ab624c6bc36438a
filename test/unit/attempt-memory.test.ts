// What a gateway remembers of its answers to buyers: how much, how long, and whose.
import assert from "node:assert/strict";
import {
  ATTEMPT_BUYERS_MAX,
  ATTEMPT_REMEMBERED_MS,
  ATTEMPTS_PER_BUYER_MAX,
} from "../../services/contracts/seckill.ts";
import {
  type AnsweredAttempt,
  createAttemptMemory,
} from "../../services/gateway/fast-lane/attempt-memory.ts";
import { fakeClock } from "../support/fake-clock.ts";

const SALE = "7001";
const USER = "81";
const SOLD_OUT = "SECKILL_SOLD_OUT";
/** Of a great many buyers, one in this many is looked up. */
const ASKED_SHARE = 500;

function attempt(changes: Partial<AnsweredAttempt> = {}): AnsweredAttempt {
  const one = { saleId: SALE, userId: USER, requestId: "r", outcome: SOLD_OUT, durationMs: 5 };
  return { ...one, ...changes };
}

describe("the attempts a gateway remembers", () => {
  const clock = fakeClock();
  const idsOf = (memory: ReturnType<typeof createAttemptMemory>, userId = USER) =>
    memory.of(SALE, userId).items.map(({ request_id: id }) => id);

  it("are told with their arrival, their answer and its time, oldest first", () => {
    const memory = createAttemptMemory(clock);
    const answeredMs = clock.now();
    memory.note(attempt({ requestId: "a", outcome: "SECKILL_NOT_STARTED", durationMs: 7 }));
    clock.nowMs += 100;
    memory.note(attempt({ requestId: "b" }));
    const { items, forgotten } = memory.of(SALE, USER);
    assert.deepEqual(items[0], {
      arrived_at: new Date(answeredMs - 7).toISOString(),
      answered_at: new Date(answeredMs).toISOString(),
      outcome: "SECKILL_NOT_STARTED",
      request_id: "a",
    });
    assert.deepEqual([items.length, items[1]?.request_id, forgotten], [2, "b", 0]);
  });

  it("are those of this buyer at this sale", () => {
    const memory = createAttemptMemory(clock);
    memory.note(attempt({ userId: "82" }));
    memory.note(attempt({ saleId: "7002" }));
    assert.deepEqual(memory.of(SALE, USER), { items: [], forgotten: 0 });
  });

  it("are the last few of a buyer, the others only counted", () => {
    const memory = createAttemptMemory(clock);
    const all = Array.from({ length: 12 }, (_, at) => String(at));
    for (const requestId of all) memory.note(attempt({ requestId }));
    assert.deepEqual(idsOf(memory), all.slice(-ATTEMPTS_PER_BUYER_MAX));
    assert.equal(memory.of(SALE, USER).forgotten, all.length - ATTEMPTS_PER_BUYER_MAX);
  });

  it("end with their time, also when nobody comes any more", () => {
    const memory = createAttemptMemory(clock);
    memory.note(attempt({ requestId: "old" }));
    clock.nowMs += ATTEMPT_REMEMBERED_MS - 1_000;
    memory.note(attempt({ requestId: "new" }));
    assert.deepEqual(idsOf(memory), ["old", "new"]);
    clock.nowMs += 2_000;
    assert.deepEqual(idsOf(memory), ["new"]);
    // The next note begins a generation, and the one before it still counts as long as it may.
    memory.note(attempt({ requestId: "newest" }));
    assert.deepEqual(idsOf(memory), ["new", "newest"]);
    clock.nowMs += 2 * ATTEMPT_REMEMBERED_MS;
    assert.deepEqual(memory.of(SALE, USER), { items: [], forgotten: 0 });
  });

  it("are of so many buyers at most, and the last half of them for certain", () => {
    const memory = createAttemptMemory(clock);
    const users = Array.from({ length: 2 * ATTEMPT_BUYERS_MAX }, (_, at) => String(at + 1));
    for (const userId of users) memory.note(attempt({ userId }));
    const asked = users.filter((_, at) => at % ASKED_SHARE === 0);
    const known = asked.filter((userId) => idsOf(memory, userId).length > 0);
    assert.ok(known.length <= ATTEMPT_BUYERS_MAX / ASKED_SHARE, `${known.length} are remembered`);
    const last = asked.slice(-ATTEMPT_BUYERS_MAX / 2 / ASKED_SHARE);
    assert.deepEqual(known.slice(-last.length), last);
  });
});
