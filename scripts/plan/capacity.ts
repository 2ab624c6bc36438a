// What a sale would be like on so many nodes, reckoned from the figures of the committed benchmark. Pure.
//
// One node: everything on one machine like the measured one, so the measured rates hold. More nodes: each
// node is a gateway with its admission on a core of its own, and the worker and each server have a machine
// of their own; a process can then do what its CPU time per order allows. Bounds come from the best and the
// worst round of the benchmark and from nothing else: they do not know other machines or networks.
import { spreadOf } from "../bench/statistics.ts";
import type { SaleSample, Samples } from "../bench/sale/sample.ts";

const US_PER_S = 1_000_000;
/** A process that is busier than this answers late. */
const BUSY_SHARE_MAX = 0.8;
/** Buyers that may wait at one gateway; one more is told to come back. */
const WAITING_MAX = 8_192;

export interface SaleShape {
  readonly buyers: number;
  readonly units: number;
  readonly nodes: number;
}

/** low = the worst round, high = the best one, for rates; the other way round for times. */
export interface Bounds {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

export interface Bottleneck {
  readonly name: string;
  /** Orders a second that it can do. */
  readonly rate: Bounds;
}

export interface Plan {
  /** Promises a second. */
  readonly admissionRate: Bounds;
  /** Refusals a second once there is no unit. */
  readonly refusalRate: Bounds;
  /** Seconds from the opening, when all buyers come at once. */
  readonly soldOutS: Bounds;
  readonly lastOrderS: Bounds;
  readonly everybodyAnsweredS: Bounds;
  /** Of a buyer in the middle of the crowd. */
  readonly medianWaitS: Bounds;
  /** Buyers that find the gateways full and have to ask again. */
  readonly toldToComeBack: number;
  /** Tightest first. */
  readonly bottlenecks: readonly Bottleneck[];
  /** Orders a second that were measured at most; beyond it the plan is an extrapolation. */
  readonly measuredRateMax: number;
}

interface Stage {
  readonly name: string;
  readonly process: string;
  /** Processes of this kind. */
  readonly count: (nodes: number) => number;
}

const STAGES: readonly Stage[] = [
  { name: "gateway and admission (edge)", process: "edge", count: (nodes) => nodes },
  { name: "order worker", process: "worker", count: () => 1 },
  { name: "database, one core of it", process: "mysql", count: () => 1 },
  { name: "Redis", process: "redis", count: () => 1 },
  { name: "NATS, one core of it", process: "nats", count: () => 1 },
];
const ALL_IN_ONE = "the machine that everything runs on";

/** @throws RangeError when the benchmark lacks what is needed. */
export function planSale(samples: Samples, shape: SaleShape): Plan {
  const sales = [...(samples.sale ?? []), ...(samples.saleFirstSeen ?? [])];
  const refusals = samples.soldOut ?? [];
  if (sales.length === 0 || refusals.length === 0) {
    throw new RangeError(
      "The benchmark has no sale and no sold-out answers; run npm run bench:sale.",
    );
  }
  const { nodes, buyers, units } = shape;
  const isOneMachine = nodes === 1;
  const bottlenecks = isOneMachine
    ? [{ name: ALL_IN_ONE, rate: ratesOf(sales) }, ...stagesOf(sales, nodes).slice(0, 1)]
    : stagesOf(sales, nodes);
  const admissionRate = (bottlenecks[0] as Bottleneck).rate;
  const refusalRate = isOneMachine ? ratesOf(refusals) : processRate(refusals, "edge", nodes);
  const sold = Math.min(units, buyers);
  const soldOutS = timeOf(sold, admissionRate);
  const refusedS = timeOf(buyers - sold, refusalRate);
  const middle = Math.ceil(buyers / 2);
  const medianWaitS = sum(
    timeOf(Math.min(middle, sold), admissionRate),
    timeOf(Math.max(0, middle - sold), refusalRate),
  );
  return {
    ...{ admissionRate, refusalRate, soldOutS, medianWaitS, bottlenecks },
    lastOrderS: lastOrder(sales, sold, soldOutS),
    everybodyAnsweredS: sum(soldOutS, refusedS),
    toldToComeBack: Math.max(0, buyers - nodes * WAITING_MAX),
    measuredRateMax: spreadOf(sales.map(({ perSecond }) => perSecond)).max,
  };
}

/** Tightest first. */
function stagesOf(sales: readonly SaleSample[], nodes: number): readonly Bottleneck[] {
  return STAGES.map(({ name, process, count }) => ({
    name,
    rate: processRate(sales, process, count(nodes)),
  })).sort((left, right) => left.rate.expected - right.rate.expected);
}

function processRate(samples: readonly SaleSample[], process: string, count: number): Bounds {
  const { median, min, max } = spreadOf(samples.map(({ cpuUs }) => cpuUs[process] ?? NaN));
  const rate = (us: number): number => (count * BUSY_SHARE_MAX * US_PER_S) / us;
  return { expected: rate(median), low: rate(max), high: rate(min) };
}

function ratesOf(samples: readonly SaleSample[]): Bounds {
  const { median, min, max } = spreadOf(samples.map(({ perSecond }) => perSecond));
  return { expected: median, low: min, high: max };
}

/** The measured delay of the last order row behind the last promise is added to the sell-out. */
function lastOrder(sales: readonly SaleSample[], sold: number, soldOutS: Bounds): Bounds {
  const behindS = sales.map(({ lastOrderMs = 0, sellOutMs = 0, units }) => {
    return (Math.max(0, lastOrderMs - sellOutMs) / 1_000) * Math.min(1, sold / units);
  });
  const { median, min, max } = spreadOf(behindS);
  return sum(soldOutS, { expected: median, low: min, high: max });
}

function timeOf(count: number, rate: Bounds): Bounds {
  return { expected: count / rate.expected, low: count / rate.high, high: count / rate.low };
}

function sum(left: Bounds, right: Bounds): Bounds {
  return {
    expected: left.expected + right.expected,
    low: left.low + right.low,
    high: left.high + right.high,
  };
}
