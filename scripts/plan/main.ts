// `npm run plan -- --buyers N --units M --nodes K`: what to expect of a sale, and what would be the limit.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { StoredResult } from "../bench/sale/result.ts";
import { type Bounds, planSale, type SaleShape } from "./capacity.ts";

const BENCH_FILE = resolve(import.meta.dirname, "..", "..", "docs", "bench-sale.json");
const COUNT_MAX = 1_000_000_000;
const NODES_MAX = 1_000;
const NAME_WIDTH = 34;

function main(): void {
  try {
    const { shape, file } = readArguments(process.argv.slice(2));
    const result = JSON.parse(readFileSync(file, "utf8")) as StoredResult;
    console.log(describe(result, shape));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}

function readArguments(args: readonly string[]): { shape: SaleShape; file: string } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      buyers: { type: "string", default: "20000" },
      units: { type: "string", default: "1000" },
      nodes: { type: "string", default: "1" },
      bench: { type: "string", default: BENCH_FILE },
    },
  });
  const shape = {
    buyers: numberOf("buyers", values.buyers, COUNT_MAX),
    units: numberOf("units", values.units, COUNT_MAX),
    nodes: numberOf("nodes", values.nodes, NODES_MAX),
  };
  return { shape, file: values.bench };
}

function numberOf(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new RangeError(`--${name} must be a whole number from 1 to ${max}.`);
}

function describe(result: StoredResult, shape: SaleShape): string {
  const plan = planSale(result.samples, shape);
  const [first, second] = plan.bottlenecks;
  const isBeyond = plan.admissionRate.expected > plan.measuredRateMax;
  const loads = result.loads.map((load) => load.toFixed(1)).join(", ");
  return [
    `${shape.buyers} buyers, ${shape.units} units, ${shape.nodes} node(s); everybody comes at once`,
    "",
    row("", ["expected", "from", "to"]),
    row("promises a second", boundsOf(plan.admissionRate)),
    row("refusals a second, sold out", boundsOf(plan.refusalRate)),
    row("sold out after, s", boundsOf(plan.soldOutS)),
    row("last order row after, s", boundsOf(plan.lastOrderS)),
    row("a buyer in the middle waits, s", boundsOf(plan.medianWaitS)),
    row("everybody has an answer after, s", boundsOf(plan.everybodyAnsweredS)),
    "",
    `first bottleneck: ${first?.name ?? "?"}`,
    ...(second === undefined
      ? []
      : [`next: ${second.name}, at ${figure(second.rate.expected)} orders a second`]),
    ...(plan.toldToComeBack === 0
      ? []
      : [`${plan.toldToComeBack} buyers find the gateways full at first: 503 with Retry-After`]),
    ...(isBeyond
      ? [
          `beyond what was measured (${figure(plan.measuredRateMax)} orders a second): the commits of one sale are serial, so measure before you promise`,
        ]
      : []),
    "",
    `From the benchmark of ${result.takenAt} on ${result.machine}; load average before its rounds: ${loads}.`,
    `from–to: its worst and best of ${result.rounds} round(s). Another machine or network is not in it.`,
  ].join("\n");
}

function row(name: string, cells: readonly string[]): string {
  return name.padEnd(NAME_WIDTH) + cells.map((cell) => cell.padStart(10)).join("");
}

function boundsOf({ expected, low, high }: Bounds): readonly string[] {
  return [expected, low, high].map(figure);
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

main();
