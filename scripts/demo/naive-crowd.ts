// The crowd of a demonstration at the naive sale, straight on the database, and what it proves.
import picocolors from "picocolors";
import type { BuyerPlan } from "./buyer-plan.ts";
import { NAIVE_AT_ONCE_MAX, type NaiveSale, type NaiveTally } from "./naive-sale.ts";
import { describeTable } from "./sale-view.ts";
import type { Check } from "./verdict.ts";

const PROGRESS_INTERVAL_MS = 2_000;

export interface NaiveResult extends NaiveTally {
  readonly units: number;
  /** Purchases that were tried. */
  readonly attempts: number;
  /** Orders for which there was no unit. */
  readonly oversold: number;
  /** Orders beyond a buyer's first. */
  readonly repeated: number;
}

/** Sends every buyer with all his clicks, in the order of arrival, as many at once as the database has
 * connections for. */
export async function runNaiveCrowd(
  sale: NaiveSale,
  plans: readonly BuyerPlan[],
  units: number,
): Promise<NaiveResult> {
  let [next, attempts] = [0, 0];
  const timer = setInterval(() => {
    console.log(picocolors.dim(`  ${next} of ${plans.length} buyers have come`));
  }, PROGRESS_INTERVAL_MS);
  const visitAll = async (): Promise<void> => {
    for (let plan = plans[next]; plan !== undefined; plan = plans[next]) {
      next += 1;
      attempts += plan.clicks;
      const { index } = plan;
      await Promise.all(Array.from({ length: plan.clicks }, () => sale.buy(index)));
    }
  };
  try {
    await Promise.all(Array.from({ length: NAIVE_AT_ONCE_MAX }, visitAll));
  } finally {
    clearInterval(timer);
  }
  const tally = await sale.tally();
  return {
    ...tally,
    units,
    attempts,
    oversold: Math.max(0, tally.orders - units),
    repeated: tally.orders - tally.buyers,
  };
}

export function isExact({ oversold, repeated }: NaiveResult): boolean {
  return oversold === 0 && repeated === 0;
}

export function describeNaive(result: NaiveResult): string {
  const { units, attempts, orders, buyers, remaining, oversold, repeated } = result;
  const none = (name: string, found: number): Check => {
    const isGood = found === 0;
    return { name, found: isGood ? "0" : `${found}, not 0`, isGood };
  };
  const table = describeTable(
    [
      ["units of the sale", String(units)],
      ["purchases tried", String(attempts)],
      ["orders taken", String(orders)],
      ["buyers who have one", String(buyers)],
      ["units left, by its own counter", String(remaining)],
    ],
    [none("units sold that were not there", oversold), none("second units of a buyer", repeated)],
  );
  return `${table}\n${isExact(result) ? luck() : lesson(result)}`;
}

function lesson({ units, orders, oversold, repeated }: NaiveResult): string {
  return [
    picocolors.red("FAIL, as expected: read-then-write cannot sell a number of units exactly."),
    `It took ${orders} orders for ${units} units: ${oversold} units were sold that were not there, and`,
    `${repeated} orders are a buyer's second or later one. Between a buyer's read and his write others read`,
    "the same number. That is the lesson of this strategy, and no fault of the platform: run the same crowd",
    "with --strategy gate or --strategy database.",
  ].join("\n");
}

function luck(): string {
  return [
    picocolors.green("PASS, by luck:"),
    "no two of these buyers read before either wrote. Send more of them at fewer units.",
  ].join(" ");
}
