// Several processes mint ids from one table of worker ids while their clocks step, replies come
// late or not at all, and processes die: no id is minted twice, and each process's ids only go up.
import assert from "node:assert/strict";
import fc from "fast-check";
import { LeasedCounter, type WorkerLeaseReply } from "../../mixins/ids/leased-counter.ts";
import {
  grantWorkerLease,
  WORKER_LEASE_MS,
  type WorkerLeaseRow,
} from "../../services/user/domain/worker-lease.ts";

const START_MS = Date.UTC(2026, 0, 1);
const PROCESSES = 2;
const WORKER_IDS = 1;
const RUNS = 1_000;
const RENEWING_RUNS = 100;
const STEPS_MAX = 120;

type Step =
  | { readonly kind: "mint"; readonly who: number; readonly count: number }
  /** A request that the table carries out at once. */
  | { readonly kind: "send"; readonly who: number }
  /** What becomes of the reply to the last one. */
  | { readonly kind: "reply"; readonly who: number; readonly isLost: boolean }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "step"; readonly who: number; readonly ms: number }
  | { readonly kind: "die"; readonly who: number };

const who = fc.integer({ min: 0, max: PROCESSES - 1 });
const kind = <const K extends Step["kind"]>(name: K) => fc.constant(name);
/** Whole seconds, so that two processes often mint in the same millisecond. */
const wholeSeconds = fc.integer({ min: -60, max: 60 }).map((seconds) => seconds * 1_000);
const renewal: fc.Arbitrary<Step[]> = who.map((one) => [
  { kind: "send", who: one },
  { kind: "reply", who: one, isLost: false },
  { kind: "mint", who: one, count: 50 },
]);
const single: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: kind("mint"), who, count: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ kind: kind("send"), who }),
  fc.record({ kind: kind("reply"), who, isLost: fc.boolean() }),
  fc.record({ kind: kind("step"), who, ms: wholeSeconds }),
  fc.record({ kind: kind("die"), who }),
);
const pause: fc.Arbitrary<Step> = fc
  .oneof(fc.constantFrom(1, 1_000, WORKER_LEASE_MS + 1_000), fc.nat(20_000))
  .map((ms) => ({ kind: "pass", ms }));
const steps: fc.Arbitrary<Step[]> = fc
  .array(
    fc.oneof(
      renewal,
      single.map((step) => [step]),
      pause.map((step) => [step]),
    ),
    { minLength: 10, maxLength: STEPS_MAX },
  )
  .map((groups) => groups.flat());

interface Process {
  owner: string;
  counter: LeasedCounter;
  skewMs: number;
  newest: bigint;
  waiting: { readonly reply: WorkerLeaseReply | undefined; readonly sentAtMs: number } | undefined;
}

class World {
  /** The database's time and every monotonic clock; wall clocks are off by each process's skew. */
  nowMs = START_MS;
  readonly minted = new Set<string>();
  readonly #rows: WorkerLeaseRow[] = Array.from({ length: WORKER_IDS }, (_, workerId) => ({
    workerId,
    owner: "",
    leaseUntilMs: 0,
    floorMs: 0,
    highWaterMs: 0,
  }));
  #starts = 0;
  readonly #processes = Array.from({ length: PROCESSES }, () => this.#startProcess(0));

  run(step: Step): void {
    if (step.kind === "pass") {
      this.nowMs += step.ms;
      return;
    }
    const process = this.#processes[step.who];
    assert.ok(process);
    if (step.kind === "mint") this.#mint(process, step.count);
    else if (step.kind === "send") this.#send(process);
    else if (step.kind === "reply") this.#reply(process, step.isLost);
    else if (step.kind === "step") process.skewMs += step.ms;
    else this.#processes[step.who] = this.#startProcess(process.skewMs);
  }

  #startProcess(skewMs: number): Process {
    this.#starts += 1;
    const owner = `process-${this.#starts}`;
    const counter = new LeasedCounter(owner);
    return { owner, counter, skewMs, newest: 0n, waiting: undefined };
  }

  #mint(process: Process, count: number): void {
    for (let n = 0; n < count; n += 1) {
      const id = process.counter.next(this.nowMs + process.skewMs, this.nowMs);
      if (id === undefined) return;
      assert.ok(!this.minted.has(id), `${id} was minted twice, now by ${process.owner}`);
      assert.ok(BigInt(id) > process.newest, `${id} is below an earlier one of ${process.owner}`);
      this.minted.add(id);
      process.newest = BigInt(id);
    }
  }

  #send(process: Process): void {
    if (process.waiting !== undefined) return;
    const request = process.counter.request(this.nowMs + process.skewMs);
    const reply = this.#lease(process.owner, request.high_water_ms);
    process.waiting = { reply, sentAtMs: this.nowMs };
  }

  #reply(process: Process, isLost: boolean): void {
    const { waiting } = process;
    process.waiting = undefined;
    if (waiting?.reply === undefined || isLost) return;
    process.counter.accept(waiting.reply, waiting.sentAtMs);
  }

  /** The table as worker-lease.repository.ts keeps it. */
  #lease(owner: string, highWaterMs: number): WorkerLeaseReply | undefined {
    const oldest = [...this.#rows].sort((a, b) => a.leaseUntilMs - b.leaseUntilMs)[0];
    const row = this.#rows.find((candidate) => candidate.owner === owner) ?? oldest;
    assert.ok(row);
    const granted = grantWorkerLease(row, { owner, highWaterMs }, this.nowMs);
    if (granted === undefined) return undefined;
    this.#rows[granted.workerId] = granted;
    return {
      worker_id: granted.workerId,
      floor_ms: granted.floorMs,
      high_water_ms: granted.highWaterMs,
      lease_ms: WORKER_LEASE_MS,
    };
  }
}

describe("ids of several processes", () => {
  it("are never minted twice and only go up, whatever clocks, replies and processes do", () => {
    let minted = 0;
    fc.assert(
      fc.property(steps, (plan) => {
        const world = new World();
        for (const step of plan) world.run(step);
        minted += world.minted.size;
      }),
      { numRuns: RUNS },
    );
    assert.ok(minted > RUNS, "the runs mint");
  });

  it("can be minted by every process that renews each second, however its clock steps", () => {
    const skews = fc.array(fc.integer({ min: -90_000, max: 90_000 }), { maxLength: 40 });
    fc.assert(
      fc.property(skews, (jumps) => {
        const world = new World();
        for (const ms of [0, ...jumps]) {
          const plan: Step[] = [
            { kind: "step", who: 0, ms },
            { kind: "send", who: 0 },
            { kind: "reply", who: 0, isLost: false },
          ];
          for (const step of plan) world.run(step);
          const before = world.minted.size;
          world.run({ kind: "mint", who: 0, count: 200 });
          assert.equal(world.minted.size - before, 200);
          world.nowMs += 1_000;
        }
      }),
      { numRuns: RENEWING_RUNS },
    );
  });
});
