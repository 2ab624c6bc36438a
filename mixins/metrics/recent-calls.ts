// What this node was asked lately, by name: how often, how often in vain, how long it took. A window of
// whole slots, so that a rate is never one of a moment. For the operations page; Prometheus has its own.
import { DURATION_BUCKETS_MS } from "./catalogue.ts";

/** Slots of the window; a slot ends with each turn(). */
const SLOTS = 12;
/** Names kept in a slot; what comes beyond is not shown. */
const NAMES_MAX = 500;

export interface CallFigures {
  readonly name: string;
  readonly calls: number;
  readonly failures: number;
  /** Upper bounds of the buckets they fall in; null without a measured call. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

interface Tally {
  calls: number;
  failures: number;
  /** One more than the bounds: the last is for what is longer. */
  readonly buckets: number[];
}

type Slot = Map<string, Tally>;

export interface RecentCalls {
  count(name: string, calls: number, failures: number): void;
  observe(name: string, ms: number): void;
  /** Begins a new slot and forgets the oldest. */
  turn(): void;
  /** The busiest names first, at most `countMax`. */
  busiest(countMax: number): readonly CallFigures[];
  /** Slots that are counted now, the unfinished one too. */
  readonly slots: number;
}

export function createRecentCalls(): RecentCalls {
  const slots: Slot[] = [new Map<string, Tally>()];

  function tallyOf(name: string): Tally | undefined {
    const slot = slots[0] as Slot;
    const known = slot.get(name);
    if (known !== undefined || slot.size >= NAMES_MAX) return known;
    const buckets = new Array<number>(DURATION_BUCKETS_MS.length + 1).fill(0);
    const tally = { calls: 0, failures: 0, buckets };
    slot.set(name, tally);
    return tally;
  }

  return {
    count(name, calls, failures) {
      const tally = tallyOf(name);
      if (tally === undefined) return;
      tally.calls += calls;
      tally.failures += failures;
    },
    observe(name, ms) {
      const tally = tallyOf(name);
      if (tally === undefined) return;
      const found = DURATION_BUCKETS_MS.findIndex((bound) => ms <= bound);
      const index = found < 0 ? DURATION_BUCKETS_MS.length : found;
      tally.buckets[index] = (tally.buckets[index] ?? 0) + 1;
    },
    turn() {
      slots.unshift(new Map<string, Tally>());
      slots.length = Math.min(slots.length, SLOTS);
    },
    busiest(countMax) {
      return [...merge(slots)]
        .sort(([, left], [, right]) => right.calls - left.calls)
        .slice(0, countMax)
        .map(([name, { calls, failures, buckets }]) => ({
          name,
          calls,
          failures,
          p50Ms: quantileMs(buckets, 0.5),
          p99Ms: quantileMs(buckets, 0.99),
        }));
    },
    get slots() {
      return slots.length;
    },
  };
}

function merge(slots: readonly Slot[]): Slot {
  const sum: Slot = new Map<string, Tally>();
  for (const slot of slots) {
    for (const [name, { calls, failures, buckets }] of slot) {
      const known = sum.get(name);
      if (known === undefined) {
        sum.set(name, { calls, failures, buckets: [...buckets] });
        continue;
      }
      known.calls += calls;
      known.failures += failures;
      for (const [index, count] of buckets.entries()) {
        known.buckets[index] = (known.buckets[index] ?? 0) + count;
      }
    }
  }
  return sum;
}

function quantileMs(buckets: readonly number[], share: number): number | null {
  const all = buckets.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let seen = 0;
  const index = buckets.findIndex((count) => {
    seen += count;
    return seen >= share * all;
  });
  // What is beyond the last bound is shown as that bound.
  return DURATION_BUCKETS_MS[Math.min(index, DURATION_BUCKETS_MS.length - 1)] ?? null;
}
