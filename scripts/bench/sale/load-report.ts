// docs/load-report.md: the same run, told for somebody who asks what the shop can take. Pure.
import { figure, table } from "../markdown.ts";
import { spreadOf } from "../statistics.ts";
import { cpuOf } from "./aims.ts";
import type { Percentiles } from "./crowd-ear.ts";
import type { SaleBenchResult } from "./result.ts";
import type { CaseName, SaleSample } from "./sample.ts";

const US_PER_S = 1_000_000;
const PERCENT = 100;
const PROCESSES = ["edge", "core", "worker", "mysql", "redis", "nats", "crowd"] as const;

interface Row {
  readonly name: CaseName;
  readonly text: string;
  /** Answers that are what they should be; every one of them is a success. */
  readonly good: readonly string[];
  readonly who: "winners" | "losers";
}

const ROWS: readonly Row[] = [
  {
    ...{ name: "sale", text: "purchases at the peak, 512 connections", who: "winners" },
    good: ["queued", "SECKILL_SOLD_OUT"],
  },
  {
    ...{ name: "saleFirstSeen", text: "the same, tokens first seen", who: "winners" },
    good: ["queued", "SECKILL_SOLD_OUT"],
  },
  {
    ...{ name: "calm", text: "purchases at half of the peak, on a timetable", who: "winners" },
    good: ["queued", "SECKILL_SOLD_OUT"],
  },
  {
    ...{ name: "soldOut", text: "asking a sale that is sold out", who: "losers" },
    good: ["SECKILL_SOLD_OUT"],
  },
  {
    ...{ name: "duplicate", text: "asking again after having bought", who: "losers" },
    good: ["SECKILL_ALREADY_PURCHASED", "SECKILL_SOLD_OUT"],
  },
  {
    ...{ name: "notStarted", text: "asking before the opening", who: "losers" },
    good: ["SECKILL_NOT_STARTED"],
  },
];

export function loadReportOf(result: SaleBenchResult): string {
  const rows = ROWS.flatMap((row) => {
    const taken = result.samples[row.name] ?? [];
    return taken.length === 0 ? [] : [rowOf(row, taken)];
  });
  const heads = ["what", "per second", "range", "p50 ms", "p95 ms", "p99 ms", "success", "CPU µs"];
  return [
    "# Load report",
    "",
    "Made by `npm run bench:sale` from the run in [bench-sale.md](bench-sale.md); do not edit. [load-testing.md](load-testing.md) tells how to put load on a shop of your own.",
    "",
    `- ${result.takenAt}; ${result.machine}`,
    `- ${result.software}`,
    `- ${result.rounds} rounds; load average before each: ${result.loads.map((load) => load.toFixed(1)).join(", ")}`,
    "- everything, the load generator too, on one machine; guards and durability on",
    "",
    "## What it takes",
    "",
    "Per second: complete orders for purchases (promise and order row), answers for the rest. Success: answers that decide (a promise, or a refusal that is true) out of all; what is left was told to wait (`waiting`, no promise) or to come back (`503`). CPU: all processes of the platform, per order or answer.",
    "",
    ...table(heads, rows),
    "",
    "## Where the limit is",
    "",
    ...limitOf(result),
    "",
  ].join("\n");
}

function rowOf({ text, good, who, name }: Row, taken: readonly SaleSample[]): readonly string[] {
  const rate = spreadOf(taken.map(({ perSecond }) => perSecond));
  const times = taken.flatMap((sample) => sample[who] ?? []).filter(({ count }) => count > 0);
  const at = (which: keyof Percentiles): string =>
    times.length === 0 ? "–" : figure(spreadOf(times.map((one) => one[which])).median);
  const shown = name === "calm" ? `${figure(rate.median)} requests` : figure(rate.median);
  return [
    ...[text, shown, `${figure(rate.min)}–${figure(rate.max)}`],
    ...[at("p50Ms"), at("p95Ms"), at("p99Ms"), successOf(taken, good)],
    figure(spreadOf(taken.map((sample) => cpuOf(sample))).median),
  ];
}

function successOf(taken: readonly SaleSample[], good: readonly string[]): string {
  let all = 0;
  let decided = 0;
  for (const { answers = {} } of taken) {
    for (const [name, count] of Object.entries(answers)) {
      all += count;
      if (good.includes(name)) decided += count;
    }
  }
  return all === 0 ? "–" : `${((decided * PERCENT) / all).toFixed(2)} %`;
}

/** Share of one core that each process uses at the peak. */
function limitOf({ samples }: SaleBenchResult): readonly string[] {
  const taken = samples.sale ?? [];
  if (taken.length === 0) return ["The peak was not measured in this run."];
  const shares = PROCESSES.map((name) => ({
    name,
    share: spreadOf(
      taken.map(({ cpuUs, perSecond }) => ((cpuUs[name] ?? 0) * perSecond) / US_PER_S),
    ).median,
  }));
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  const [busiest] = shares
    .filter(({ name }) => name !== "crowd")
    .sort((left, right) => right.share - left.share);
  return [
    `At the peak the processes used ${total.toFixed(2)} cores together. Of one core each:`,
    "",
    ...table(
      ["process", "cores"],
      shares.map(({ name, share }) => [name, share.toFixed(2)]),
    ),
    "",
    `The busiest process of the platform is **${busiest?.name ?? "?"}**. Where the sum comes near the number of cores, the machine is the limit; where one process comes near 1, it is that process. \`npm run plan\` reckons what more nodes would give.`,
  ];
}
