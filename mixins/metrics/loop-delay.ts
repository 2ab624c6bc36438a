// How late the turns of the event loop are: a timer measures by how much it comes late itself. Node's own histogram
// (monitorEventLoopDelay) drops the first turn after every reset, so a reading misses the turn it is made in, which is
// the longest where turns are long.
import { createHistogram } from "node:perf_hooks";

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
  let timer: NodeJS.Timeout | undefined;
  return {
    start() {
      let lastMs = performance.now();
      timer = setInterval(() => {
        const nowMs = performance.now();
        // A histogram takes whole numbers from one on.
        lateUs.record(Math.max(1, Math.round((nowMs - lastMs - INTERVAL_MS) * US_PER_MS)));
        lastMs = nowMs;
      }, INTERVAL_MS);
      timer.unref();
    },
    stop() {
      clearInterval(timer);
    },
    takeP99Ms() {
      const late = lateUs.count === 0 ? 0 : lateUs.percentile(PERCENTILE) / US_PER_MS;
      lateUs.reset();
      return late;
    },
  };
}
