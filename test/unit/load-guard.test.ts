// A gateway is overloaded when its turns are late one after another, not when a few of them were.
import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  createLagWindow,
  createLoadGuard,
  type LoadGuard,
} from "../../services/gateway/fast-lane/load-guard.ts";
import { eventually } from "../support/eventually.ts";

const LATE_TURNS_MAX = 20;
const CALM = { timeoutMs: 5_000, what: "it has calmed down" } as const;

function blockTurn(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

describe("the lag of an event loop", () => {
  it("is that of most of its last turns", () => {
    const lag = createLagWindow();
    for (const lateMs of [900, 900, 900, 900]) lag.note(lateMs);
    assert.equal(lag.medianMs(), 0, "a few turns that were late");
    lag.note(300);
    assert.equal(lag.medianMs(), 300);
    for (const lateMs of [1, 2, 3, 4, 5]) lag.note(lateMs);
    assert.equal(lag.medianMs(), 5);
  });

  describe("of a running process", () => {
    let guard: LoadGuard;

    beforeEach(() => {
      guard = createLoadGuard();
      guard.start();
    });
    afterEach(() => {
      guard.stop();
    });

    // Turns that are longer than any interval of looking at them are the ones that matter.
    for (const turnMs of [250, 450]) {
      it(`is too much when each turn takes ${String(turnMs)} ms, until they do not`, async () => {
        for (let turn = 0; turn < LATE_TURNS_MAX && !guard.isOverloaded(); turn += 1) {
          blockTurn(turnMs);
          await nextTurn();
        }
        assert.ok(guard.isOverloaded());
        await eventually(() => !guard.isOverloaded(), CALM);
      });
    }
  });
});
