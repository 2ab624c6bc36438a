// What is believed of a server's clock: never that it is later there than it can be.
import assert from "node:assert/strict";
import fc from "fast-check";
import { ServerClock } from "../../services/seckill/server-clock.ts";

const EPOCH_MS = Date.UTC(2026, 0, 1);
const WAIT_MS_MAX = 400;
/** A double has so much of a millisecond left, this long after 1970. */
const ROUNDING_MS = 0.01;

describe("the clock of a server, as its answers tell it", () => {
  it("is not known before the first answer", () => {
    assert.equal(new ServerClock().at(5), undefined);
  });

  it("believes the slowest clock that an answer allows for", () => {
    const clock = new ServerClock();
    clock.hear(EPOCH_MS, 100, 180);
    assert.equal(clock.at(180), EPOCH_MS);
    assert.equal(clock.at(1_180), EPOCH_MS + 1_000);
  });

  it("keeps what a quick answer told when a slow one tells less", () => {
    const clock = new ServerClock();
    clock.hear(EPOCH_MS, 100, 101);
    clock.hear(EPOCH_MS + 1_050, 1_000, 1_300);
    assert.equal(clock.at(1_301), EPOCH_MS + 1_200);
  });

  it("follows a clock that was set, either way", () => {
    const clock = new ServerClock();
    clock.hear(EPOCH_MS, 100, 101);
    clock.hear(EPOCH_MS + 3_600_000, 200, 201);
    assert.equal(clock.at(201), EPOCH_MS + 3_600_000);
    clock.hear(EPOCH_MS, 300, 301);
    assert.equal(clock.at(301), EPOCH_MS);
  });

  it("is never later than the server's own, and right within the quickest answer's time", () => {
    const waitMs = fc.double({ min: 0, max: WAIT_MS_MAX, noNaN: true });
    const answers = fc.array(fc.record({ thereMs: waitMs, backMs: waitMs }), { minLength: 1 });
    fc.assert(
      fc.property(answers, fc.integer({ min: -1e9, max: 1e9 }), (all, aheadMs) => {
        const clock = new ServerClock();
        let now = 0;
        for (const { thereMs, backMs } of all) {
          const sentAt = now;
          now += thereMs + backMs;
          clock.hear(sentAt + thereMs + aheadMs, sentAt, now);
        }
        const error = now + aheadMs - clock.at(now)!;
        const quickest = Math.min(...all.map(({ thereMs, backMs }) => thereMs + backMs));
        assert.ok(error >= -ROUNDING_MS && error <= quickest + ROUNDING_MS, `${error}`);
      }),
    );
  });
});
