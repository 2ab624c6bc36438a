// Whatever fails and whenever commands arrive: who is told "done" is stored, once, in the order of
// arrival, and who is told "refused" is not.
import assert from "node:assert/strict";
import fc from "fast-check";
import { createCommitQueue } from "../../mixins/database/commit-queue.ts";
import { PlatformError } from "../../services/contracts/errors.ts";

const BATCH_MAX = 4;

/** What the n-th commit does: it stores, fails before it stores, or its answer is lost afterwards. */
const fate = fc.constantFrom("stores", "fails", "unavailable", "stores and loses its answer");
const arrival = fc.record({ turnsBefore: fc.nat(3), isBad: fc.boolean() });

describe("the commit queue, whatever fails", () => {
  it("answers every command once and truly", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arrival, { minLength: 1, maxLength: 25 }),
        fc.array(fate, { maxLength: 40 }),
        async (arrivals, fates) => {
          const stored: number[] = [];
          let commits = 0;
          let atOnce = 0;
          const queue = createCommitQueue<number, string>({
            name: "property",
            batchSizeMax: BATCH_MAX,
            queueLengthMax: arrivals.length,
            async commit(ids) {
              assert.ok(ids.length >= 1 && ids.length <= BATCH_MAX);
              assert.equal((atOnce += 1), 1, "one commit at a time");
              const now = fates[commits] ?? "stores";
              commits += 1;
              await new Promise(setImmediate);
              atOnce -= 1;
              if (now === "fails") throw new Error("deadlock");
              if (now === "unavailable") throw new PlatformError("SERVICE_UNAVAILABLE");
              if (ids.some((id) => arrivals[id]!.isBad)) throw new Error("bad command");
              // Idempotent by id, as every commit has to be.
              for (const id of ids) if (!stored.includes(id)) stored.push(id);
              if (now !== "stores") throw new PlatformError("OUTCOME_UNKNOWN");
              return ids.map((id) => `stored ${id}`);
            },
          });
          const told = await submitAll(queue, arrivals);
          await queue.drain();
          check(told, { stored, arrivals });
        },
      ),
      { numRuns: 400 },
    );
  });

  async function submitAll(
    queue: { submit(id: number): Promise<string> },
    arrivals: readonly { turnsBefore: number }[],
  ): Promise<PromiseSettledResult<string>[]> {
    const answers: Promise<string>[] = [];
    for (const [id, { turnsBefore }] of arrivals.entries()) {
      for (let turn = 0; turn < turnsBefore; turn += 1) await new Promise(setImmediate);
      const answer = queue.submit(id);
      answer.catch(() => undefined);
      answers.push(answer);
    }
    return await Promise.allSettled(answers);
  }

  function check(
    told: readonly PromiseSettledResult<string>[],
    { stored, arrivals }: { stored: readonly number[]; arrivals: readonly { isBad: boolean }[] },
  ): void {
    for (const [id, answer] of told.entries()) {
      if (answer.status === "fulfilled") {
        assert.equal(answer.value, `stored ${id}`);
        assert.ok(stored.includes(id), `${id} was told it is stored`);
        assert.ok(!arrivals[id]!.isBad);
      } else {
        const isUnknown = (answer.reason as { type?: string }).type === "OUTCOME_UNKNOWN";
        assert.ok(isUnknown || !stored.includes(id), `${id} was told it is not stored`);
      }
    }
    assert.deepEqual(
      stored,
      [...stored].sort((left, right) => left - right),
      "in the order of arrival",
    );
  }
});
