// Refuses work that could only be answered late: when the event loop lags, or when too many buyers
// wait already. A refusal costs microseconds, a time-out costs the buyer seconds.
import { monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 10;
const READ_INTERVAL_MS = 100;
/** Half of the turns of the last reading took longer than this. */
const LAG_MAX_MS = 200;
/** Buyers of this node that may wait for their answers at once. */
const WAITING_MAX = 8_192;
const NS_PER_MS = 1_000_000;

export interface LoadGuard {
  isOverloaded(): boolean;
  /** The event loop's lag at the last reading, as a multiple of the one that is too much. */
  lagShare(): number;
  enter(): void;
  leave(): void;
  start(): void;
  stop(): void;
}

export interface LoadGuardLimits {
  readonly lagMaxMs: number;
  readonly waitingMax: number;
}

export function createLoadGuard(
  { lagMaxMs, waitingMax }: LoadGuardLimits = { lagMaxMs: LAG_MAX_MS, waitingMax: WAITING_MAX },
): LoadGuard {
  let waiting = 0;
  let lagShare = 0;
  let delay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  let timer: NodeJS.Timeout | undefined;

  return {
    isOverloaded: () => lagShare > 1 || waiting >= waitingMax,
    lagShare: () => lagShare,
    enter() {
      waiting += 1;
    },
    leave() {
      waiting -= 1;
    },
    start() {
      const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
      delay = histogram;
      histogram.enable();
      timer = setInterval(() => {
        lagShare = histogram.percentile(50) / NS_PER_MS / (lagMaxMs + RESOLUTION_MS);
        histogram.reset();
      }, READ_INTERVAL_MS);
    },
    stop() {
      clearInterval(timer);
      delay?.disable();
    },
  };
}
