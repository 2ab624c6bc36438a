// A clock that a unit test moves; both of its readings are the same number.
import type { Clock } from "../../services/kernel/clock.ts";

export interface FakeClock extends Clock {
  nowMs: number;
}

export function fakeClock(): FakeClock {
  return {
    nowMs: 1_000_000,
    now() {
      return this.nowMs;
    },
    monotonic() {
      return this.nowMs;
    },
  };
}
