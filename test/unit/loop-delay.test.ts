// The event loop's delay, as the metrics of a node tell it: no late turn is missed.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { createLoopDelay } from "../../mixins/metrics/loop-delay.ts";

const BLOCKED_MS = 250;
/** Above what a busy machine makes late by itself, below what the test does. */
const LATE_MS = 200;
const READINGS = 3;

function block(): void {
  const endMs = performance.now() + BLOCKED_MS;
  while (performance.now() < endMs);
}

describe("the delay of the event loop", () => {
  const loop = createLoopDelay();
  before(() => loop.start());
  after(() => loop.stop());

  it("is nothing while no turn has been measured", () => {
    assert.equal(createLoopDelay().takeP99Ms(), 0);
  });

  it("has the one long turn of every reading", async () => {
    await delay(BLOCKED_MS);
    for (let reading = 0; reading < READINGS; reading += 1) {
      loop.takeP99Ms();
      block();
      await delay(1);
      const late = loop.takeP99Ms();
      assert.ok(late > LATE_MS, `reading ${reading}: ${late} ms`);
    }
  });
});
