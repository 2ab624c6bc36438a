// The command line of the sale's benchmark. Everything is bounded: a run ends by itself.
import { parseArgs } from "node:util";
import { CASE_NAMES, type CaseName } from "./sample.ts";

const ROUNDS_MAX = 50;

/** How much of everything one round does. */
export interface Sizes {
  /** Units of a measured sale. */
  readonly units: number;
  /** Units of a sale that is only one of several comparisons. */
  readonly fewUnits: number;
  /** Length of a measurement that has no end of its own. */
  readonly seconds: number;
  /** Units of the one big sale, and of one slice of it; 0 = none. */
  readonly bigUnits: number;
  readonly sliceUnits: number;
}

export interface SaleBenchOptions {
  readonly rounds: number;
  readonly sizes: Sizes;
  /** Cases of a round; a case that others compare themselves with should not be left out. */
  readonly only: readonly CaseName[];
  /** Writes CPU profiles of the product's processes and no ratios. */
  readonly isProfile: boolean;
  /** Compares ratios of traced requests and nothing else. */
  readonly isTracing: boolean;
  /** Folder of the reports; empty: nothing is written. */
  readonly out: string;
}

const FULL: Sizes = {
  units: 40_000,
  fewUnits: 10_000,
  seconds: 2,
  bigUnits: 1_000_000,
  sliceUnits: 100_000,
};
const QUICK: Sizes = { units: 10_000, fewUnits: 4_000, seconds: 1, bigUnits: 0, sliceUnits: 0 };
const TINY: Sizes = { units: 600, fewUnits: 400, seconds: 0.2, bigUnits: 0, sliceUnits: 0 };
const SIZES = { full: FULL, quick: QUICK, tiny: TINY } as const;

/** @throws RangeError with what is wrong, for the person who typed it. */
export function readOptions(args: readonly string[], defaultOut: string): SaleBenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      size: { type: "string" },
      only: { type: "string" },
      profile: { type: "boolean", default: false },
      tracing: { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const isShort = [values.quick, values.profile, values.tracing].includes(true);
  const sizes = sizesOf(values.size ?? (isShort ? "quick" : "full"));
  const isWhole = sizes === FULL && values.only === undefined && !isShort;
  return {
    rounds: roundsOf(values.rounds ?? (isWhole ? "5" : "1")),
    sizes,
    only: casesOf(values.only),
    isProfile: values.profile,
    isTracing: values.tracing,
    // A short run must not replace the figures of a whole one.
    out: values.out ?? (isWhole ? defaultOut : ""),
  };
}

function sizesOf(name: string): Sizes {
  const sizes = new Map<string, Sizes>(Object.entries(SIZES)).get(name);
  if (sizes !== undefined) return sizes;
  throw new RangeError(`--size is one of ${Object.keys(SIZES).join(", ")}.`);
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= ROUNDS_MAX) return rounds;
  throw new RangeError(`--rounds must be a whole number from 1 to ${ROUNDS_MAX}.`);
}

function casesOf(text: string | undefined): readonly CaseName[] {
  if (text === undefined) return CASE_NAMES;
  const names = text.split(",");
  const unknown = names.filter((name) => !CASE_NAMES.some((known) => known === name));
  if (unknown.length > 0) {
    throw new RangeError(`--only knows ${CASE_NAMES.join(", ")}; not ${unknown.join(", ")}.`);
  }
  return CASE_NAMES.filter((name) => names.includes(name));
}
