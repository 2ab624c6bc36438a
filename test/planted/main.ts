// Tests of the tests: each patch here plants one bug in a copy of the tree, and the test its header names
// must fail, which must pass without the bug. The product itself has no switch for any of them.
//
//   npm run planted [-- 07 19]     all, or those with these numbers; all of them write docs/planted.md
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startThrowAwayServers } from "../support/servers.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { type Copy, holds, type Outcome, runCatcher } from "./catchers.ts";
import { nameOf, type Plant, plants } from "./plants.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "../..");
const DOCUMENT = join(SOURCE_DIR, "docs", "planted.md");
const LEFT_OUT = new Set([".git", "node_modules", ".data", "coverage"]);
const NEEDS_SERVERS = /^test\/(integration|e2e|lua|property|security)\//;

interface Verdict extends Plant {
  readonly isCaught: boolean;
  /** What showed it, or why nothing did. */
  readonly by: string;
  readonly said: string;
}

function copyOfTree(): string {
  const folder = tempFolder();
  for (const name of readdirSync(SOURCE_DIR)) {
    if (LEFT_OUT.has(name)) continue;
    cpSync(join(SOURCE_DIR, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(SOURCE_DIR, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Outcomes of tests without any bug: each test is run once, for all bugs it must notice. */
class Unplanted {
  readonly #copy: Copy;
  readonly #outcomes = new Map<string, Promise<Outcome>>();

  constructor(copy: Copy) {
    this.#copy = copy;
  }

  async outcome({ catcher }: Plant): Promise<Outcome> {
    if (catcher.kind === "simulation") return { kind: "passed" };
    const key = `${catcher.file} ${catcher.title}`;
    const outcome = this.#outcomes.get(key) ?? runCatcher(this.#copy, catcher);
    this.#outcomes.set(key, outcome);
    return await outcome;
  }
}

async function planted(copy: Copy, { catcher, patch }: Plant): Promise<Outcome> {
  const apply = (...options: string[]): void => {
    execFileSync("git", ["apply", ...options, patch], { cwd: copy.folder, stdio: "pipe" });
  };
  try {
    apply();
  } catch {
    return { kind: "broken", why: "the patch does not apply" };
  }
  try {
    return await runCatcher(copy, catcher);
  } finally {
    apply("--reverse");
  }
}

async function verdictOf(copy: Copy, unplanted: Unplanted, one: Plant): Promise<Verdict> {
  const survived = (by: string): Verdict => ({ ...one, isCaught: false, by, said: "" });
  const before = await unplanted.outcome(one);
  if (before.kind === "failed") return survived(`fails without the bug: ${before.said}`);
  if (before.kind === "broken") return survived(`without the bug: ${before.why}`);
  const outcome = await planted(copy, one);
  if (outcome.kind === "passed") return survived("survived");
  if (outcome.kind === "broken") return survived(outcome.why);
  const { by, said } = outcome;
  // A schedule shows the bug only when it holds without it.
  if (one.catcher.kind === "simulation" && !(await holds(copy, by))) {
    return survived(`schedule ${by} fails without the bug`);
  }
  return { ...one, isCaught: true, by, said };
}

async function serversFor(chosen: readonly Plant[]): Promise<NodeJS.ProcessEnv> {
  const isNeeded = chosen.some(
    ({ catcher }) => catcher.kind === "test" && NEEDS_SERVERS.test(catcher.file),
  );
  if (!isNeeded) return {};
  const { mysqlUrl, redisUrl, natsUrl } = await startThrowAwayServers();
  return { TEST_MYSQL_URL: mysqlUrl, TEST_REDIS_URL: redisUrl, TEST_NATS_URL: natsUrl };
}

function documentOf(verdicts: readonly Verdict[]): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
  const rows = verdicts.map(({ name, bug, catcher, isCaught, by, said }) => {
    const how = catcher.kind === "test" ? cell(by) : `\`${by}\``;
    const what = isCaught ? [how, cell(said)] : [`**${cell(by)}**`, ""];
    return `| ${[name, cell(bug), `\`${nameOf(catcher)}\``, ...what].join(" | ")} |`;
  });
  return [
    "# Planted bugs",
    "",
    "Written by `npm run planted`: each bug is a patch in `test/planted/`, applied to a copy of the tree.",
    "The test its header names must pass without it and fail with it; a schedule of the simulation can be",
    "repeated with `npm run simulate -- --replay`.",
    "",
    summaryOf(verdicts),
    "",
    "| bug | what is wrong | suite | caught by | what it said |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

function summaryOf(verdicts: readonly Verdict[]): string {
  const caught = verdicts.filter(({ isCaught }) => isCaught);
  return `${caught.length} of ${verdicts.length} are caught.`;
}

async function main(numbers: readonly string[]): Promise<boolean> {
  const isAll = numbers.length === 0;
  const chosen = plants().filter(({ name }) => isAll || numbers.includes(name.slice(0, 2)));
  const copy = { folder: copyOfTree(), servers: await serversFor(chosen) };
  const unplanted = new Unplanted(copy);
  const verdicts: Verdict[] = [];
  for (const one of chosen) {
    const verdict = await verdictOf(copy, unplanted, one);
    verdicts.push(verdict);
    const { isCaught, by, name } = verdict;
    console.log(`${isCaught ? "caught" : "MISSED"}  ${name.padEnd(38)} ${by}`);
  }
  if (isAll) writeFileSync(DOCUMENT, documentOf(verdicts));
  console.log(summaryOf(verdicts));
  return verdicts.length > 0 && verdicts.every(({ isCaught }) => isCaught);
}

process.exit((await main(process.argv.slice(2))) ? 0 : 1);
