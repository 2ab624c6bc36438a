// `npm run bench:sale -- --tracing`: what tracing costs a flash sale. The ratio is a setting of the nodes, so
// every figure is of a platform started for it, warmed up by a sale of the same size; the ratios alternate.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BenchChild } from "../child-process.ts";
import { describeMachine } from "../machine.ts";
import { figure, table } from "../markdown.ts";
import { MeasuredShop } from "../measured-shop.ts";
import { ratioOf, type Spread, spreadOf } from "../statistics.ts";
import { cpuOf } from "./aims.ts";
import { Cases } from "./cases.ts";
import type { SaleBenchOptions, Sizes } from "./options.ts";
import type { SaleSample } from "./sample.ts";
import { Stage } from "./stage.ts";

const FILE = "bench-sale-tracing.md";
const SHOWN = ["edge", "core", "worker"] as const;

interface Variant {
  readonly name: string;
  /** Undefined: nothing is exported. */
  readonly ratio?: string;
}

const OFF: Variant = { name: "off" };
const VARIANTS: readonly Variant[] = [
  OFF,
  { name: "ratio 0", ratio: "0" },
  { name: "ratio 0.01, as set unless told otherwise", ratio: "0.01" },
  { name: "ratio 1", ratio: "1" },
];

type SamplesOf = ReadonlyMap<Variant, readonly SaleSample[]>;

export async function measureTracing({ rounds, sizes, out }: SaleBenchOptions): Promise<void> {
  const collector = new BenchChild("floor-http.ts");
  const port = String(await collector.ask("listen", { body: "{}" }));
  const samples = new Map<Variant, SaleSample[]>(VARIANTS.map((variant) => [variant, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [variant, taken] of samples) {
      setTracing(variant, `http://127.0.0.1:${port}/api/traces`);
      const sample = await sellTwice(sizes);
      taken.push(sample);
      console.log(`round ${round} ${variant.name}: ${cpuOf(sample).toFixed(1)} us`);
    }
  }
  collector.end();
  const text = reportOf(samples, { rounds, sizes });
  console.log(`\n${text}`);
  if (out === "") return;
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, FILE), text);
}

function setTracing({ ratio }: Variant, endpoint: string): void {
  process.env["JAEGER_ENDPOINT"] = ratio === undefined ? "" : endpoint;
  process.env["TRACE_RATIO"] = ratio ?? "0";
}

/** The second sale: the first one warms the processes up. */
async function sellTwice(sizes: Sizes): Promise<SaleSample> {
  const shop = await MeasuredShop.start();
  try {
    const stage = await Stage.build(shop);
    const cases = await Cases.prepare(stage, sizes, {});
    await cases.take("sale");
    const sample = await cases.take("sale");
    await stage.close();
    return sample;
  } finally {
    await shop.stop();
  }
}

function reportOf(
  samples: SamplesOf,
  { rounds, sizes }: Pick<SaleBenchOptions, "rounds" | "sizes">,
): string {
  const without = (samples.get(OFF) ?? []).map((sample) => cpuOf(sample));
  const rows = [...samples].map(([{ name }, taken]) => {
    const cpu = taken.map((sample) => cpuOf(sample));
    return [
      ...[name, figure(spreadOf(taken.map(({ perSecond }) => perSecond)).median)],
      ...[withRange(spreadOf(cpu)), withRange(ratioOf(cpu, without))],
      ...SHOWN.map((role) => figure(spreadOf(taken.map(({ cpuUs }) => cpuUs[role] ?? 0)).median)),
    ];
  });
  const heads = ["tracing", "orders a second", "CPU us per order", "against off", ...SHOWN];
  return [
    "# What tracing costs a flash sale",
    "",
    `Made by \`npm run bench:sale -- --tracing --rounds ${rounds} --out docs\`; do not edit. Medians (ranges) of ${rounds} alternated rounds; a sale has ${sizes.units} units; tokens seen before.`,
    "",
    `- ${describeMachine()}`,
    "- CPU microseconds of all processes per complete order; the collector, which only takes what is sent, and the load generator are not counted",
    "- a traced purchase leaves the fast lane: it goes through moleculer-web and makes spans in every process; one that is not traced makes none (counted in a test)",
    "",
    ...table(heads, rows),
    "",
  ].join("\n");
}

function withRange({ median, min, max }: Spread): string {
  return `${figure(median)} (${figure(min)}–${figure(max)})`;
}
