// One measurement of one case, and the names of all of them.
import type { Percentiles } from "./crowd-ear.ts";

/** In the order of a round: what is compared stands beside each other. */
export const CASE_NAMES = [
  "bare64",
  "bare512",
  "skeleton",
  "hotRow",
  "rows",
  "floorSale",
  "sale",
  "duplicate",
  "soldOut",
  "notStarted",
  "floorFirstSeen",
  "saleFirstSeen",
  "floorCalm",
  "calm",
  "drain",
  "sales10",
  "floorSales100",
  "sales100",
  "buyers100",
  "buyers10k",
] as const;
export type CaseName = (typeof CASE_NAMES)[number];

export interface SaleSample {
  /** What was counted: complete orders of a sale, else answers, updates or rows. */
  readonly units: number;
  readonly perSecond: number;
  /** CPU microseconds per unit, by process; `crowd` is the load generator. */
  readonly cpuUs: Readonly<Record<string, number>>;
  /** Promises a second until the last one. */
  readonly acceptedPerSecond?: number;
  /** From the first request to the last promise, and to the last order row. */
  readonly sellOutMs?: number;
  readonly lastOrderMs?: number;
  readonly winners?: Percentiles;
  readonly losers?: Percentiles;
  readonly answers?: Readonly<Record<string, number>>;
  /** Requests a second of an open loop. */
  readonly ratePerS?: number;
  /** Monotonic clock, microseconds: when it was taken. */
  readonly window: { readonly fromUs: number; readonly untilUs: number };
  /** One-minute load average of the machine before it. */
  readonly load1: number;
}

export type Samples = Readonly<Partial<Record<CaseName, readonly SaleSample[]>>>;

/** A slice of the one big sale. */
export interface BigSlice extends SaleSample {
  /** Units sold before it. */
  readonly soldBefore: number;
}
