// The campaign's memory, docs/chaos.json: one entry for every run of a cell, with its seed and its commit. Entries
// are only ever added; what is left to do is what they do not show.
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/source.ts";
import type { CellResult } from "./cell.ts";

const FILE = join(ROOT, "docs/chaos.json");
/** What is tried by a run; the rest of the tree are tests, tools and documents. */
const PRODUCT = [
  ...["services", "mixins", "lua", "config", "migrations", "scripts/launcher"],
  ...["moleculer.config.ts", "package-lock.json"],
];

export interface Run extends Partial<CellResult> {
  readonly cell: string;
  readonly title: string;
  readonly seed: number;
  readonly commit: string;
  readonly at: string;
  readonly took_s: number;
  readonly holds: boolean;
  readonly faults: readonly string[];
  /** Why it could not be run here. */
  readonly skipped?: string;
}

export function readRuns(): readonly Run[] {
  if (!existsSync(FILE)) return [];
  return (JSON.parse(readFileSync(FILE, "utf8")) as { runs: Run[] }).runs;
}

export function addRun(run: Run): void {
  const lines = [...readRuns(), run].map((one) => `    ${JSON.stringify(one)}`);
  writeFileSync(`${FILE}.new`, `{\n  "runs": [\n${lines.join(",\n")}\n  ]\n}\n`);
  renameSync(`${FILE}.new`, FILE);
}

/** The commit that is tried, with a plus when the product's files differ from it. */
export function presentCommit(): string {
  const isChanged = git("status", "--porcelain", "--", ...PRODUCT).stdout !== "";
  return `${git("rev-parse", "--short=10", "HEAD").stdout.trim()}${isChanged ? "+" : ""}`;
}

/** Those of them whose product is the one that is here: what came after them are tests and documents. */
export function commitsOfPresentCode(commits: ReadonlySet<string>): ReadonlySet<string> {
  const isSame = (commit: string): boolean =>
    git("diff", "--quiet", commit, "--", ...PRODUCT).status === 0;
  return new Set([...commits].filter(isSame));
}

function git(...args: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync("git", args, { cwd: ROOT, encoding: "utf8" });
}
