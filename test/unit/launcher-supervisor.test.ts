import assert from "node:assert/strict";
import type { SupervisedProcess } from "../../scripts/launcher/supervisor.ts";
import { restartBackoffMs, Supervisor } from "../../scripts/launcher/supervisor.ts";
import { eventually } from "../support/eventually.ts";

/** A process whose end the test decides. */
class ControlledProcess implements SupervisedProcess {
  readonly name = "edge";
  exited: Promise<unknown> = Promise.resolve();
  restarts = 0;
  restartFailures = 0;
  #end: () => void = () => undefined;

  constructor() {
    this.#begin();
  }

  end(): void {
    this.#end();
  }

  restart(): Promise<void> {
    this.#end();
    if (this.restartFailures > 0) {
      this.restartFailures -= 1;
      return Promise.reject(new Error("does not start"));
    }
    this.restarts += 1;
    this.#begin();
    return Promise.resolve();
  }

  #begin(): void {
    this.exited = new Promise((resolve) => {
      this.#end = () => resolve(undefined);
    });
  }
}

interface Observed {
  supervisor: Supervisor;
  crashes: number[];
  givenUp: string[];
}

function observedSupervisor(): Observed {
  const crashes: number[] = [];
  const givenUp: string[] = [];
  const supervisor = new Supervisor({
    onCrash: (_process, backoffMs) => void crashes.push(backoffMs),
    onRestart: () => undefined,
    onGiveUp: (process) => void givenUp.push(process.name),
    pause: () => Promise.resolve(),
  });
  return { supervisor, crashes, givenUp };
}

describe("supervisor", () => {
  it("doubles the pause before a start from 100 ms up to 1.6 s", () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6, 20].map(restartBackoffMs),
      [100, 200, 400, 800, 1600, 1600, 1600],
    );
  });

  it("brings a process back that ended by itself", async () => {
    const { supervisor } = observedSupervisor();
    const process = new ControlledProcess();
    supervisor.watch(process);
    process.end();
    await eventually(() => process.restarts === 1, { timeoutMs: 2_000, what: "it is back" });
    process.end();
    await eventually(() => process.restarts === 2, { timeoutMs: 2_000, what: "it is back again" });
    supervisor.stop();
  });

  it("counts a start that fails as one more crash and tries again", async () => {
    const { supervisor, crashes } = observedSupervisor();
    const process = new ControlledProcess();
    process.restartFailures = 2;
    supervisor.watch(process);
    process.end();
    await eventually(() => process.restarts === 1, { timeoutMs: 3_000, what: "it is back" });
    assert.deepEqual(crashes, [100, 200, 400]);
    supervisor.stop();
  });

  it("gives up after the fifth start within a minute and says so once", async () => {
    const { supervisor, crashes, givenUp } = observedSupervisor();
    const process = new ControlledProcess();
    process.restartFailures = Number.POSITIVE_INFINITY;
    supervisor.watch(process);
    process.end();
    await eventually(() => givenUp.length > 0, { timeoutMs: 6_000, what: "it gives up" });
    assert.deepEqual(givenUp, ["edge"]);
    assert.equal(crashes.length, 5);
    assert.equal(process.restarts, 0);
  });

  it("does not take a restart on purpose for a crash", async () => {
    const { supervisor, crashes } = observedSupervisor();
    const process = new ControlledProcess();
    supervisor.watch(process);
    await supervisor.restart(process);
    assert.equal(process.restarts, 1);
    assert.deepEqual(crashes, []);
    process.end();
    await eventually(() => process.restarts === 2, {
      timeoutMs: 2_000,
      what: "it is still watched",
    });
    supervisor.stop();
  });

  it("brings nothing back once it is stopped", async () => {
    const { supervisor, crashes } = observedSupervisor();
    const process = new ControlledProcess();
    supervisor.watch(process);
    supervisor.stop();
    process.end();
    await process.exited;
    assert.deepEqual(crashes, []);
    assert.equal(process.restarts, 0);
  });
});
