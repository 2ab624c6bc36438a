// The report of the sale's benchmark as Markdown, and its plot. Pure.
import { figure, table } from "../markdown.ts";
import { spreadOf, type Spread } from "../statistics.ts";
import { aimResults, cpuOf } from "./aims.ts";
import type { Percentiles } from "./crowd-ear.ts";
import { logLines, picture, stackedBars } from "./plot.ts";
import type { SaleBenchResult } from "./result.ts";
import { CASE_NAMES, type CaseName, type SaleSample, type Samples } from "./sample.ts";

const PROCESSES = [
  ...["floor", "gateway", "admission", "floorWorker"],
  ...["edge", "core", "worker", "mysql", "redis", "nats", "crowd"],
] as const;

const WHAT: Readonly<Record<CaseName, string>> = {
  bare64: "**B**, c=64: node:http that answers the same POST with the same text",
  bare512: "**B**, c=512",
  skeleton: "**S**, c=512: node:http, token seen before, one EVALSHA a turn; nothing is stored",
  hotRow: "**U**, c=16: one conditional update of one row, no HTTP, no order",
  rows: "**P**: order and item rows, 500 in a transaction, 4 at once; one unit = one order",
  floorSale: "**F**, c=512: a sale, tokens seen before",
  sale: "**product**, c=512: a sale, tokens seen before",
  duplicate: "product, c=64: the buyers ask again, told their order",
  soldOut: "product, c=64: others ask after the sell-out",
  notStarted: "product, c=64: everybody asks before the opening",
  floorFirstSeen: "F, c=512: a sale, tokens first seen",
  saleFirstSeen: "product, c=512: a sale, tokens first seen",
  floorCalm: "F, requests at half of its peak rate, half of them find a unit",
  calm: "product, requests at half of its peak rate, half of them find a unit",
  drain: "product: orders made after the worker stood still for a sale",
  sales10: "product, c=512: 10 sales at once",
  floorSales100: "F, c=512: 100 sales at once",
  sales100: "product, c=512: 100 sales at once",
  buyers100: "product, c=100: 36 sales of 100 units one after the other, 100 buyers",
  buyers10k: "product, c=100: one sale, a buyer each",
};

const LATENCY_CASES = ["floorCalm", "calm", "floorSale", "sale"] as const;
const PERCENTILES = ["p50Ms", "p95Ms", "p99Ms", "p999Ms", "maxMs"] as const;

export function markdownOf(result: SaleBenchResult): string {
  const { samples } = result;
  return [
    "# Benchmark of the flash sale",
    "",
    "Made by `npm run bench:sale`; do not edit. Floors and product alternate in one run on one machine. Cite a figure with its range: differences inside the ranges are noise.",
    "",
    `- ${result.takenAt}; ${result.machine}`,
    `- ${result.software}`,
    `- load average before each round: ${result.loads.map((load) => load.toFixed(1)).join(", ")}`,
    ...result.conditions.map((text) => `- ${text}`),
    "",
    "![CPU per complete order, and answer times](bench-sale.svg)",
    "",
    "## Aims",
    "",
    "Product against floor, round by round: median and range of the rounds' ratios. An aim counts as reached when every round reached it. `npm run bench:sale -- --profile` shows where the CPU time goes: [bench-sale-profile.md](bench-sale-profile.md); `-- --tracing` what tracing costs: [bench-sale-tracing.md](bench-sale-tracing.md).",
    "",
    ...aimTable(samples),
    "",
    "## Guards that were on",
    "",
    ...result.guards.map((text) => `- ${text}`),
    "",
    ...FLOOR_TEXT,
    "",
    "## Figures",
    "",
    "CPU microseconds per unit (complete order, answer, update or order row) by process; medians of the rounds, the total with its range and without the crowd, which is the load generator on the same machine.",
    "",
    ...figureTable(samples),
    "",
    "## From the opening to the last order",
    "",
    ...timeTable(samples),
    "",
    "## Answer times",
    "",
    "Milliseconds, medians of the rounds. On a timetable (half of the peak rate) an answer's time counts from when its request was due, so that a shop that stalls cannot hide it; the closed loop's times are shown for comparison and flatter.",
    "",
    ...latencyTable(samples),
    "",
    ...bigSale(result),
    "## Memory",
    "",
    ...memoryTable(result),
    "",
  ].join("\n");
}

const FLOOR_TEXT = [
  "**F** does what the sale's protocol needs and nothing else, on the same servers with the same durability: a gateway process (node:http, verified tokens, one NATS request per turn), an admission process (one script per turn; one transaction per pile of winners: sale row locked, admissions, count, one outbox row) and a worker (claim, JetStream, inbox row, orders and items of up to 8 events in one transaction). It writes into tables with the product's keys and checks. It has no framework, no limits, no metrics, no pending set and no order history, reads nothing back, and cannot recover from anything.",
];

function aimTable(samples: Samples): readonly string[] {
  const rows = aimResults(samples).map(({ text, median, min, max, goals, verdict }) => [
    ...[text, figure(median), `${figure(min)}–${figure(max)}`],
    ...[goals.join(" / "), verdict],
  ]);
  return table(["what", "median", "range", "sound / stretch / moonshot", "reached"], rows);
}

function measured(samples: Samples): readonly (readonly [CaseName, readonly SaleSample[]])[] {
  return CASE_NAMES.flatMap((name) => {
    const taken = samples[name] ?? [];
    return taken.length === 0 ? [] : [[name, taken] as const];
  });
}

function figureTable(samples: Samples): readonly string[] {
  const rows = measured(samples).map(([name, taken]) => {
    const total = spreadOf(taken.map((sample) => cpuOf(sample)));
    const rate = spreadOf(taken.map(({ perSecond }) => perSecond));
    return [
      ...[WHAT[name], figure(rate.median), range(rate), figure(total.median), range(total)],
      ...PROCESSES.map((process) => medianCpu(taken, process)),
    ];
  });
  return table(["case", "per second", "range", "CPU total", "range", ...PROCESSES], rows);
}

function medianCpu(taken: readonly SaleSample[], process: string): string {
  const values = taken.flatMap(({ cpuUs }) => cpuUs[process] ?? []);
  return values.length === 0 ? "" : figure(spreadOf(values).median);
}

function timeTable(samples: Samples): readonly string[] {
  const rows = measured(samples).flatMap(([name, taken]) => {
    const [first] = taken;
    if (first?.sellOutMs === undefined) return [];
    const median = (of: (sample: SaleSample) => number): string =>
      figure(spreadOf(taken.map(of)).median);
    return [
      [
        ...[WHAT[name], String(first.units), median((one) => one.acceptedPerSecond ?? NaN)],
        median((one) => one.sellOutMs ?? NaN),
        median((one) => one.lastOrderMs ?? NaN),
        answersText(taken),
      ],
    ];
  });
  const heads = ["case", "units", "accepted a second", "sold out after ms", "last order row ms"];
  return table([...heads, "answers of all rounds"], rows);
}

function answersText(taken: readonly SaleSample[]): string {
  const counts = new Map<string, number>();
  for (const { answers = {} } of taken) {
    for (const [name, count] of Object.entries(answers)) {
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
  }
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}

function latencyTable(samples: Samples): readonly string[] {
  const rows = LATENCY_CASES.flatMap((name) => {
    const taken = samples[name] ?? [];
    return (["winners", "losers"] as const).flatMap((who) => {
      const times = taken.flatMap((sample) => sample[who] ?? []).filter(({ count }) => count > 0);
      if (times.length === 0) return [];
      const rate = taken[0]?.ratePerS;
      const how = rate === undefined ? "closed loop" : `${rate} requests a second`;
      return [[WHAT[name], who, how, ...PERCENTILES.map((one) => figure(medianOf(times, one)))]];
    });
  });
  return table(["case", "who", "how", "p50", "p95", "p99", "p99.9", "max"], rows);
}

function medianOf(times: readonly Percentiles[], which: (typeof PERCENTILES)[number]): number {
  return spreadOf(times.map((one) => one[which])).median;
}

function bigSale({ big, samples }: SaleBenchResult): readonly string[] {
  const [first] = big;
  if (first === undefined) return [];
  const usual = spreadOf((samples.saleFirstSeen ?? [first]).map((sample) => cpuOf(sample)));
  const rows = big.map((slice) => [
    ...[String(slice.soldBefore), figure(slice.perSecond), figure(cpuOf(slice))],
    ...["edge", "worker", "mysql", "redis"].map((name) => figure(slice.cpuUs[name] ?? 0)),
  ]);
  return [
    "## One big sale",
    "",
    `Buyers nobody has seen, one unit each, until the sale is sold out; CPU microseconds per purchase as it grows. In the sales of this run with tokens first seen a purchase cost ${figure(usual.median)} (${range(usual)}).`,
    "",
    ...table(["sold before", "per second", "CPU total", "edge", "worker", "mysql", "redis"], rows),
    "",
  ];
}

function memoryTable({ memoryMib: { before, after } }: SaleBenchResult): readonly string[] {
  const rows = Object.keys(after).map((name) => [
    ...[name, (before[name] ?? 0).toFixed(0), (after[name] ?? 0).toFixed(0)],
  ]);
  return table(["process", "MiB before", "MiB after the last round"], rows);
}

/** CPU by process of what was compared, and the percentiles of answers on a timetable. */
export function plotOf({ samples }: SaleBenchResult): string {
  const bars = (["floorSale", "sale", "floorFirstSeen", "saleFirstSeen"] as const).flatMap(
    (name) => {
      const taken = samples[name] ?? [];
      if (taken.length === 0) return [];
      const parts = PROCESSES.filter((process) => process !== "crowd").map((process) => ({
        name: process,
        value: spreadOf(taken.map(({ cpuUs }) => cpuUs[process] ?? 0)).median,
      }));
      return [{ name: BAR_NAMES[name], parts: parts.filter(({ value }) => value > 0) }];
    },
  );
  const lines = (["floorCalm", "calm"] as const).flatMap((name) =>
    (["winners", "losers"] as const).flatMap((who) => {
      const times = (samples[name] ?? []).flatMap((sample) => sample[who] ?? []);
      const known = times.filter(({ count }) => count > 0);
      if (known.length === 0) return [];
      const points = PERCENTILES.map((one) => ({
        x: one.replace("Ms", ""),
        y: medianOf(known, one),
      }));
      return [{ name: `${name === "calm" ? "product" : "F"}, ${who}`, points }];
    }),
  );
  return picture([
    stackedBars({ title: "CPU per complete order", unit: "microseconds" }, bars),
    logLines({ title: "Answers at half of the peak rate", unit: "milliseconds" }, lines),
  ]);
}

const BAR_NAMES = {
  floorSale: "F, seen before",
  sale: "product, seen before",
  floorFirstSeen: "F, first seen",
  saleFirstSeen: "product, first seen",
} as const;

function range({ min, max }: Spread): string {
  return `${figure(min)}–${figure(max)}`;
}
