// Refuses work that could only be answered late: when the event loop lags, or when too many buyers
// wait already. A refusal costs microseconds, a time-out costs the buyer seconds.
import { type WatchedTurns, watchTurns } from "../../../mixins/watch-turns.ts";

const SAMPLE_INTERVAL_MS = 10;
/** The lag is the median of so many turns: nobody is refused for a few that were late. */
const SAMPLES = 9;
/** A lag beyond this is too much. */
const LAG_MAX_MS = 200;
/** Buyers of this node that may wait for their answers at once. */
const WAITING_MAX = 8_192;

export interface LoadGuard {
  isOverloaded(): boolean;
  /** The event loop's lag, as a multiple of the one that is too much. */
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
  const lag = createLagWindow();
  let turns: WatchedTurns | undefined;
  const lagShare = (): number => lag.medianMs() / lagMaxMs;

  return {
    isOverloaded: () => lagShare() > 1 || waiting >= waitingMax,
    lagShare,
    enter() {
      waiting += 1;
    },
    leave() {
      waiting -= 1;
    },
    start() {
      turns = watchTurns(SAMPLE_INTERVAL_MS, (lateMs) => lag.note(lateMs));
    },
    stop() {
      turns?.stop();
    },
  };
}

export interface LagWindow {
  /** @param lateMs by how much a turn was late. */
  note(lateMs: number): void;
  /** Of the last turns. */
  medianMs(): number;
}

export function createLagWindow(): LagWindow {
  const turns = new Float64Array(SAMPLES);
  let next = 0;
  let median = 0;
  return {
    note(lateMs) {
      turns[next] = lateMs;
      next = (next + 1) % SAMPLES;
      median = turns.toSorted()[SAMPLES >> 1] ?? 0;
    },
    medianMs: () => median,
  };
}
