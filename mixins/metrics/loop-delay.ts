// The delay of the event loop between two readings of a node's metrics.
import { createHistogram } from "node:perf_hooks";
import { type WatchedTurns, watchTurns } from "../watch-turns.ts";

const INTERVAL_MS = 20;
const US_PER_MS = 1_000;
const PERCENTILE = 99;

export interface LoopDelay {
  start(): void;
  stop(): void;
  /** Of the turns since the last time it was taken, in milliseconds; 0 when there was none. */
  takeP99Ms(): number;
}

export function createLoopDelay(): LoopDelay {
  const lateUs = createHistogram();
  let turns: WatchedTurns | undefined;
  return {
    start() {
      turns = watchTurns(INTERVAL_MS, (lateMs) => {
        // A histogram takes whole numbers from one on.
        lateUs.record(Math.max(1, Math.round(lateMs * US_PER_MS)));
      });
    },
    stop() {
      turns?.stop();
    },
    takeP99Ms() {
      const late = lateUs.count === 0 ? 0 : lateUs.percentile(PERCENTILE) / US_PER_MS;
      lateUs.reset();
      return late;
    },
  };
}
