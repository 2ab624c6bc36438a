// The report: ratios against the floors first, then every figure they are made of. Pure.
import type { CaseName } from "./cases.ts";
import type { Sample } from "./measure.ts";
import type { RowsPerOrder } from "./session.ts";
import { figure, table as tableLines } from "./markdown.ts";
import { ratioOf, type Spread, spreadOf } from "./statistics.ts";

export interface BenchResult {
  readonly takenAt: string;
  readonly machine: string;
  readonly software: string;
  readonly conditions: readonly string[];
  readonly idleUsPerS: Readonly<Record<string, number>>;
  readonly rows: readonly RowsPerOrder[];
  /** One sample per round. */
  readonly samples: Readonly<Record<CaseName, readonly Sample[]>>;
}

/** Processes in the order of a request. */
const PROCESSES = ["floor", "edge", "core", "worker", "mysql", "redis", "nats"] as const;

interface Ratio {
  readonly text: string;
  readonly of: CaseName;
  readonly floor: CaseName;
  /** The product's processes that the journey touches; of a floor all count. */
  readonly processes: readonly string[];
  readonly sound?: number;
  readonly stretch?: number;
}

const EDGE = ["edge"];
const LOCAL = ["edge", "redis"];
const REMOTE = [...LOCAL, "core", "nats", "mysql"];
const ALL = PROCESSES;

const RATIOS: readonly Ratio[] = [
  {
    text: "cached product read / M (edge, redis)",
    ...{ of: "product", floor: "minimal", processes: LOCAL, sound: 1.8, stretch: 1.3 },
  },
  { text: "— edge alone", of: "product", floor: "minimal", processes: EDGE },
  { text: "— / B", of: "product", floor: "bare", processes: LOCAL },
  {
    text: "authenticated route served by the edge / M (edge, redis)",
    ...{ of: "token", floor: "minimal", processes: LOCAL, sound: 2, stretch: 1.5 },
  },
  { text: "— / B", of: "token", floor: "bare", processes: LOCAL },
  {
    text: "order read, over NATS to core and MariaDB / M (edge, redis, nats, core, mysql)",
    ...{ of: "orderRead", floor: "minimal", processes: REMOTE, sound: 2, stretch: 1.5 },
  },
  { text: "— edge alone", of: "orderRead", floor: "minimal", processes: EDGE },
  {
    text: "placing an order / T (all processes)",
    ...{ of: "place", floor: "floorPlace", processes: ALL, sound: 2, stretch: 1.3 },
  },
  {
    text: "— / T grouped",
    ...{ of: "place", floor: "floorPlaceGrouped", processes: ALL, sound: 2, stretch: 1.3 },
  },
  {
    text: "complete order / T (all processes)",
    ...{ of: "complete", floor: "floorComplete", processes: ALL, sound: 2, stretch: 1.3 },
  },
  {
    text: "— / T grouped",
    ...{ of: "complete", floor: "floorCompleteGrouped", processes: ALL, sound: 2, stretch: 1.3 },
  },
  { text: "reservation, group commit / one transaction each, one SKU", ...reserve("Hot") },
  { text: "reservation, group commit / one transaction each, 32 SKUs", ...reserve("Spread") },
];

function reserve(where: "Hot" | "Spread"): Omit<Ratio, "text"> {
  return { of: `grouped${where}`, floor: `single${where}`, processes: ALL };
}

/** CPU microseconds a unit of work costs the counted processes together. */
function cpuOf(sample: Sample, processes: readonly string[]): number {
  const counted = Object.entries(sample.cpuUs).filter(([name]) => processes.includes(name));
  return counted.reduce((total, [, us]) => total + us, 0);
}

/** What the idle platform costs the database is not the floor's. */
function floorCpuOf(sample: Sample, idleUsPerS: BenchResult["idleUsPerS"]): number {
  const idleUs = "mysql" in sample.cpuUs ? (idleUsPerS["mysql"] ?? 0) / sample.perSecond : 0;
  return cpuOf(sample, ALL) - idleUs;
}

export interface RatioResult extends Spread {
  readonly text: string;
  readonly sound?: number;
  readonly stretch?: number;
  readonly verdict: string;
}

export function ratiosOf(result: BenchResult): readonly RatioResult[] {
  return RATIOS.map((ratio) => {
    const { of, floor, processes, text, sound, stretch } = ratio;
    const spread = ratioOf(
      result.samples[of].map((sample) => cpuOf(sample, processes)),
      result.samples[floor].map((sample) => floorCpuOf(sample, result.idleUsPerS)),
    );
    const aims = { ...(sound === undefined ? {} : { sound }) };
    const goals = { ...aims, ...(stretch === undefined ? {} : { stretch }) };
    return { text, ...spread, ...goals, verdict: verdictOf(spread, goals) };
  });
}

function verdictOf(
  { median, min, max }: Spread,
  { sound, stretch }: { sound?: number; stretch?: number },
): string {
  if (sound === undefined || stretch === undefined) return "";
  if (max <= stretch) return "stretch";
  if (max <= sound) return "sound";
  if (median <= sound) return "sound, not in every round";
  return min <= sound ? "missed, not in every round" : "missed";
}

export function markdownOf(result: BenchResult): string {
  const names = Object.keys(result.samples) as CaseName[];
  return [
    "# Benchmark",
    "",
    "Made by `npm run bench`; do not edit. Cite a figure with its range: differences inside the ranges are noise.",
    "",
    `- ${result.takenAt}; ${result.machine}`,
    `- ${result.software}`,
    ...result.conditions.map((text) => `- ${text}`),
    "",
    "## CPU ratios",
    "",
    "CPU of the processes that a journey touches (load generator excluded), product over floor, round by round; lower is better. `npm run bench -- --profile` shows where it goes: [bench-profile.md](bench-profile.md).",
    "",
    table(
      ["what", "median", "range", "sound", "stretch", "reached"],
      ratiosOf(result).map((ratio) => [
        ...[ratio.text, figure(ratio.median), `${figure(ratio.min)}–${figure(ratio.max)}`],
        ...[String(ratio.sound ?? ""), String(ratio.stretch ?? ""), ratio.verdict],
      ]),
    ),
    "",
    ...LEGEND,
    "",
    "## Figures",
    "",
    "CPU microseconds per request (or order), by process; medians of the rounds, the total with its range.",
    "",
    table(
      ["case", ...PROCESSES, "total", "range", "per second", "range", "p50 ms", "p99 ms"],
      names.map((name) => [name, ...figuresOf(result.samples[name])]),
    ),
    "",
    "Of the database server, per order or reservation:",
    "",
    table(
      ["case", "commits", "syncs to disk", "statements"],
      names
        .filter((name) => result.samples[name].some((sample) => sample.commits > COMMITS_SHOWN_MIN))
        .map((name) => [name, ...countersOf(result.samples[name])]),
    ),
    "",
    `The idle platform costs, CPU microseconds a second: ${idleText(result.idleUsPerS)}. ` +
      "The database's part of it is taken off the floors T and the reservations, not off the product.",
    "",
    "## Rows of one complete order",
    "",
    "Counted in both schemas after the same journey: the floor writes what the product writes.",
    "",
    table(
      ["table", "product", "floor T"],
      result.rows.map((row) => [row.table, figure(row.product), figure(row.floor)]),
    ),
    "",
  ].join("\n");
}

/** Fewer commits per request are background work, not the request's. */
const COMMITS_SHOWN_MIN = 0.05;

const LEGEND: readonly string[] = [
  "- **B** `bare`: node:http that answers the product's text. **M** `minimal`: one moleculer-web route to one action with a parameter schema in one process, no logging, same answer.",
  "- **T** `floorPlace`, `floorComplete`: the product's rows by bare mysql2, one transaction per order and step. **T grouped**: the same with the product's batches. No HTTP, no framework; outbox rows are claimed and marked, then handed over in memory.",
  "- `product`: `GET /products/{id}`, cached, rate limits on. `token`: `POST /idempotency-tokens`, authenticated, served by the edge. `orderRead`: `GET /orders/{id}` by its buyer, over NATS to core, two SELECTs.",
  "- `place`: `POST /orders` to its 201. `complete`: place, pay, the provider's signed callback, order paid and stock committed.",
];

function figuresOf(samples: readonly Sample[]): readonly string[] {
  const byProcess = PROCESSES.map((name) => {
    const values = samples.flatMap(({ cpuUs }) => cpuUs[name] ?? []);
    return values.length === 0 ? "" : figure(spreadOf(values).median);
  });
  const total = spreadOf(samples.map((sample) => cpuOf(sample, ALL)));
  const rate = spreadOf(samples.map(({ perSecond }) => perSecond));
  return [
    ...byProcess,
    ...[figure(total.median), `${figure(total.min)}–${figure(total.max)}`],
    ...[figure(rate.median), `${figure(rate.min)}–${figure(rate.max)}`],
    figure(spreadOf(samples.map(({ p50Ms }) => p50Ms)).median),
    figure(spreadOf(samples.map(({ p99Ms }) => p99Ms)).median),
  ];
}

function countersOf(samples: readonly Sample[]): readonly string[] {
  return (["commits", "fsyncs", "statements"] as const).map((name) => {
    const { median, min, max } = spreadOf(samples.map((sample) => sample[name]));
    return `${figure(median)} (${figure(min)}–${figure(max)})`;
  });
}

function idleText(idleUsPerS: BenchResult["idleUsPerS"]): string {
  return Object.entries(idleUsPerS)
    .map(([name, us]) => `${name} ${figure(us)}`)
    .join(", ");
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return tableLines(heads, rows).join("\n");
}
