// The result of a campaign, for machines and for people: appended to docs/chaos-sale.json, all of which makes
// docs/chaos-sale.md.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { ROOT } from "../support/source.ts";
import type { FinalAudit } from "./final-audit.ts";
import { acknowledgedOf, type Campaign, type SaleRecord, type Violations } from "./records.ts";

const JSON_FILE = join(ROOT, "docs", "chaos-sale.json");
const MARKDOWN_FILE = join(ROOT, "docs", "chaos-sale.md");
const BYTES_PER_GIB = 1024 ** 3;
const FAULTS_LISTED_MAX = 50;

export interface CampaignResult extends Violations {
  readonly finished_at: string;
  readonly commit: string;
  readonly machine: string;
  readonly seed: number;
  readonly purchases_asked: number;
  readonly acknowledged: number;
  readonly requests: number;
  readonly given_back: number;
  readonly sales: number;
  readonly units_per_sale: number;
  readonly interruptions: number;
  readonly seconds: number;
  readonly faults_injected: Readonly<Record<string, number>>;
  readonly sales_audited: number;
  readonly sales_broken: readonly string[];
  readonly invariants_checked: number;
  readonly invariants_violated: readonly string[];
  readonly other_faults: readonly string[];
  readonly holds: boolean;
}

export function resultOf(campaign: Campaign, audit: FinalAudit, purchases: number): CampaignResult {
  const { sales, seed, units, interruptions, seconds, faults } = campaign;
  const sum = (value: (sale: SaleRecord) => number): number =>
    sales.reduce((total, sale) => total + value(sale), 0);
  const violations: Violations = {
    lost: sum(({ lost }) => lost),
    oversold: sum(({ oversold }) => oversold),
    undersold: sum(({ undersold }) => undersold),
    twice: sum(({ twice }) => twice),
  };
  const others = sales.flatMap(({ faults: found }) => found).slice(0, FAULTS_LISTED_MAX);
  const acknowledged = acknowledgedOf(campaign);
  const wrong =
    violations.lost +
    violations.oversold +
    violations.undersold +
    violations.twice +
    audit.broken.length +
    audit.violated.length +
    others.length;
  return {
    finished_at: new Date().toISOString(),
    commit: commitOf(),
    machine: machineOf(),
    seed,
    purchases_asked: purchases,
    acknowledged,
    requests: sum(({ requests }) => requests),
    given_back: sum(({ givenBack }) => givenBack),
    sales: sales.length,
    units_per_sale: units,
    interruptions,
    seconds: Math.round(seconds),
    faults_injected: faults,
    ...violations,
    sales_audited: audit.salesAudited,
    sales_broken: audit.broken,
    invariants_checked: audit.invariantsChecked,
    invariants_violated: audit.violated,
    other_faults: others,
    holds: wrong === 0 && acknowledged >= purchases,
  };
}

/** Adds it to the results so far and writes both documents anew. */
export function publish(result: CampaignResult): void {
  const results = [...readResults(), result];
  writeFileSync(JSON_FILE, `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(MARKDOWN_FILE, markdownOf(results));
}

function readResults(): readonly CampaignResult[] {
  try {
    return JSON.parse(readFileSync(JSON_FILE, "utf8")) as readonly CampaignResult[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export function markdownOf(results: readonly CampaignResult[]): string {
  const rows = results.map((one) =>
    [
      one.finished_at.slice(0, 16).replace("T", " "),
      one.commit,
      String(one.seed),
      one.acknowledged.toLocaleString("en"),
      String(one.sales),
      String(sumOf(one.faults_injected)),
      String(one.lost),
      String(one.oversold),
      String(one.undersold),
      String(one.twice),
      String(one.sales_broken.length),
      String(one.invariants_violated.length),
      String(one.seconds),
      one.holds ? "yes" : "**no**",
    ].join(" | "),
  );
  const last = results.at(-1);
  return [
    "# Flash sales under faults",
    "",
    "Made by `npm run chaos:sale`; do not edit. Every result ever taken: [chaos-sale.json](chaos-sale.json).",
    "",
    "Sale after sale on the platform as `npm start` runs it, all guards on, while its servers and processes are killed, paused and emptied in seeded turns. A purchase counts as acknowledged when its buyer heard an order id. *Lost*: such ids without a row of that buyer. *Oversold*: live units beyond those of the sale. *Undersold*: units that nobody could buy, or that were neither sold nor returned. *Twice*: buyers with two live orders. *Sales* and *invariants broken*: audits and invariants that did not hold in the end, faults healed.",
    "",
    "| finished | commit | seed | acknowledged | sales | faults | lost | oversold | undersold | twice | sales broken | invariants broken | seconds | holds |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows.map((row) => `| ${row} |`),
    "",
    ...(last === undefined ? [] : describeLast(last)),
  ].join("\n");
}

function describeLast(last: CampaignResult): readonly string[] {
  const { machine, requests, given_back: givenBack, seconds, acknowledged } = last;
  const perS = Math.round(acknowledged / Math.max(1, seconds));
  return [
    "## The last one",
    "",
    `- ${machine}`,
    `- ${requests.toLocaleString("en")} requests to buy, ${perS} acknowledged purchases a second with all faults and checks, ${givenBack.toLocaleString("en")} units given back and sold again`,
    `- ${last.sales_audited} sales audited, ${last.invariants_checked} invariants checked, interrupted ${last.interruptions} times`,
    "",
    "| fault | times |",
    "| --- | --- |",
    ...Object.entries(last.faults_injected).map(([fault, times]) => `| ${fault} | ${times} |`),
    "",
  ];
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function commitOf(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      cwd: ROOT,
      encoding: "utf8",
    }).trim();
  } catch {
    return "unknown";
  }
}

function machineOf(): string {
  const [cpu] = cpus();
  const gib = (totalmem() / BYTES_PER_GIB).toFixed(0);
  return `${cpus().length} × ${cpu?.model.trim() ?? "?"}, ${gib} GiB; Node ${process.version}`;
}
