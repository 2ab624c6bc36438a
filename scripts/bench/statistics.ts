// Medians and ranges. A figure of a shared machine means nothing without its range.
import { assert } from "../../services/kernel/assert.ts";

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values at least one. */
export function spreadOf(values: readonly number[]): Spread {
  assert(values.length > 0, "a spread needs a value");
  const sorted = [...values].sort((left, right) => left - right);
  return { median: quantile(sorted, 0.5), min: quantile(sorted, 0), max: quantile(sorted, 1) };
}

/** Linear between neighbours; `sorted` rises and is not empty. */
export function quantile(sorted: ArrayLike<number>, at: number): number {
  const position = (sorted.length - 1) * at;
  const below = sorted[Math.floor(position)] ?? NaN;
  const above = sorted[Math.ceil(position)] ?? NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** The ratio of each round's two figures: what disturbed a whole round disturbs both of them. */
export function ratioOf(values: readonly number[], floors: readonly number[]): Spread {
  assert(values.length === floors.length, "each figure has the floor of its round");
  return spreadOf(values.map((value, round) => value / (floors[round] ?? NaN)));
}
