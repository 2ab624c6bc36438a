// What the product should reach, as ratios against the floors of the same round. Pure.
import { ratioOf, type Spread } from "../statistics.ts";
import type { CaseName, SaleSample, Samples } from "./sample.ts";

interface Aim {
  readonly text: string;
  readonly of: CaseName;
  readonly floor: CaseName;
  readonly figure: (sample: SaleSample) => number;
  readonly floorFigure?: (sample: SaleSample) => number;
  readonly isHigherBetter: boolean;
  /** Sound, stretch, moonshot; none for a ratio that is only told. */
  readonly goals: readonly number[];
}

const LEVELS = ["sound", "stretch", "moonshot"] as const;
/** The load generator is on the machine, but no part of what is measured. */
const NOT_COUNTED = "crowd";

/** CPU microseconds of the processes per unit; all but the load generator's without names. */
export function cpuOf({ cpuUs }: SaleSample, names?: readonly string[]): number {
  return Object.entries(cpuUs)
    .filter(([name]) => (names === undefined ? name !== NOT_COUNTED : names.includes(name)))
    .reduce((sum, [, us]) => sum + us, 0);
}

const rate = ({ perSecond }: SaleSample): number => perSecond;
const cpu = (sample: SaleSample): number => cpuOf(sample);
const edge = (sample: SaleSample): number => cpuOf(sample, ["edge"]);
const bare = (sample: SaleSample): number => cpuOf(sample, ["floor"]);
const p99 = ({ winners }: SaleSample): number => winners?.p99Ms ?? NaN;

const AIMS: readonly Aim[] = [
  {
    text: "complete orders a second / F",
    ...{ of: "sale", floor: "floorSale", figure: rate, isHigherBetter: true },
    goals: [0.5, 0.75, 0.9],
  },
  {
    text: "CPU of all processes per complete order / F",
    ...{ of: "sale", floor: "floorSale", figure: cpu, isHigherBetter: false },
    goals: [2, 1.4, 1.15],
  },
  {
    text: "gateway + admission CPU per accepted purchase, tokens seen before / B",
    ...{ of: "sale", floor: "bare512", figure: edge, floorFigure: bare, isHigherBetter: false },
    goals: [3.5, 2.8, 2.3],
  },
  {
    text: "gateway CPU of a sold-out answer / B",
    ...{ of: "soldOut", floor: "bare64", figure: edge, floorFigure: bare, isHigherBetter: false },
    goals: [1.8, 1.5, 1.35],
  },
  {
    text: "order rows a second while draining / P",
    ...{ of: "drain", floor: "rows", figure: rate, isHigherBetter: true },
    goals: [0.5, 0.65, 0.9],
  },
  {
    text: "p99 of winners at half of the peak rate / F at half of its own",
    ...{ of: "calm", floor: "floorCalm", figure: p99, isHigherBetter: false, goals: [3] },
  },
  {
    text: "CPU of all processes per complete order, tokens first seen / F",
    ...{ of: "saleFirstSeen", floor: "floorFirstSeen", figure: cpu, isHigherBetter: false },
    goals: [],
  },
  {
    text: "complete orders a second / U, one conditional update of one row",
    ...{ of: "sale", floor: "hotRow", figure: rate, isHigherBetter: true, goals: [] },
  },
  {
    text: "CPU of all processes per complete order / S, which stores nothing",
    ...{ of: "sale", floor: "skeleton", figure: cpu, isHigherBetter: false, goals: [] },
  },
  {
    text: "CPU of all processes per complete order, 10 sales at once / one sale",
    ...{ of: "sales10", floor: "sale", figure: cpu, isHigherBetter: false, goals: [] },
  },
  {
    text: "CPU of all processes per complete order, 100 sales at once / one sale",
    ...{ of: "sales100", floor: "sale", figure: cpu, isHigherBetter: false, goals: [] },
  },
  {
    text: "CPU of all processes per complete order, 100 sales at once / F with 100 sales",
    ...{ of: "sales100", floor: "floorSales100", figure: cpu, isHigherBetter: false, goals: [] },
  },
  {
    text: "CPU of all processes per complete order, 100 buyers / 10,000 buyers, 100 connections",
    ...{ of: "buyers100", floor: "buyers10k", figure: cpu, isHigherBetter: false, goals: [] },
  },
];

export interface AimResult extends Spread {
  readonly text: string;
  readonly goals: readonly number[];
  readonly isHigherBetter: boolean;
  readonly verdict: string;
}

/** Aims whose two cases were both measured. */
export function aimResults(samples: Samples): readonly AimResult[] {
  return AIMS.flatMap((aim) => {
    const { text, of, floor, figure, floorFigure = figure, goals, isHigherBetter } = aim;
    const [ours = [], floors = []] = [samples[of], samples[floor]];
    if (ours.length === 0 || ours.length !== floors.length) return [];
    const spread = ratioOf(ours.map(figure), floors.map(floorFigure));
    const verdict = verdictOf(spread, goals, isHigherBetter);
    return [{ text, ...spread, goals, isHigherBetter, verdict }];
  });
}

/** The best level that every round reached; else the best that the median did. */
export function verdictOf(
  { median, min, max }: Spread,
  goals: readonly number[],
  isHigherBetter: boolean,
): string {
  if (goals.length === 0) return "";
  const best = (value: number): number =>
    goals.findLastIndex((goal) => (isHigherBetter ? value >= goal : value <= goal));
  const always = best(isHigherBetter ? min : max);
  const mostly = best(median);
  const nameOf = (level: number): string => LEVELS[level] ?? "missed";
  return always === mostly ? nameOf(mostly) : `${nameOf(mostly)}, not in every round`;
}
