// Tests of the tests: each patch here plants one bug in a copy of the tree, and the test its header names
// must fail. The product itself has no switch for any of them.
//
//   npm run planted [-- 07 19]     all, or those with these numbers; all of them write docs/planted.md
import { execFileSync, spawn } from "node:child_process";
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startThrowAwayServers } from "../support/servers.ts";
import { tempFolder } from "../support/temp-folder.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "../..");
const DOCUMENT = join(SOURCE_DIR, "docs", "planted.md");
const LEFT_OUT = new Set([".git", "node_modules", ".data", "coverage"]);
const CATCH_TIMEOUT_MS = 15 * 60_000;
const SCHEDULES = 1_500;
const SIMULATE = "simulate ";
const TEST = "test ";

interface Plant {
  readonly name: string;
  readonly bug: string;
  /** `simulate <scenario>` or `test <file>`. */
  readonly catcher: string;
  readonly patch: string;
}

interface Verdict extends Plant {
  /** What failed; undefined when nothing did. */
  readonly caughtBy: string | undefined;
}

function plants(): readonly Plant[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith(".patch"))
    .sort()
    .map((file) => {
      const patch = join(import.meta.dirname, file);
      const text = readFileSync(patch, "utf8");
      const header = (field: string): string => {
        const line = text.split("\n").find((one) => one.startsWith(`${field}: `));
        if (line === undefined) throw new Error(`${file} has no ${field}`);
        return line.slice(field.length + 2);
      };
      const name = file.slice(0, -".patch".length);
      return { name, bug: header("Bug"), catcher: header("Caught-by"), patch };
    });
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

interface Run {
  readonly code: number | null;
  readonly output: string;
}

/** Runs Node in the copy; ended when it takes too long, which catches nothing. */
async function node(
  folder: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Run> {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: CATCH_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, output };
}

async function simulate(folder: string, scenario: string): Promise<string | undefined> {
  const main = join("test", "simulation", "main.ts");
  const options = ["--only", scenario, "--first", "--schedules", String(SCHEDULES)];
  const { code, output } = await node(folder, ["--max-semi-space-size=64", main, ...options], {});
  const schedule = /--replay (\S+)/.exec(output)?.[1];
  return code === 1 && schedule !== undefined ? `schedule \`${schedule}\`` : undefined;
}

interface MochaReport {
  readonly failures: readonly { readonly fullTitle: string }[];
}

async function test(
  folder: string,
  file: string,
  servers: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const report = join(folder, "planted-report.json");
  writeFileSync(report, JSON.stringify({ failures: [] }));
  const mocha = join("node_modules", "mocha", "bin", "mocha.js");
  const reporter = ["--reporter", "json", "--reporter-option", `output=${report}`];
  await node(folder, [mocha, ...reporter, file], servers);
  const { failures } = JSON.parse(readFileSync(report, "utf8")) as MochaReport;
  return failures[0]?.fullTitle;
}

async function plant(folder: string, one: Plant, servers: NodeJS.ProcessEnv): Promise<Verdict> {
  const { catcher, patch } = one;
  execFileSync("git", ["apply", patch], { cwd: folder });
  try {
    const caughtBy = catcher.startsWith(SIMULATE)
      ? await simulate(folder, catcher.slice(SIMULATE.length))
      : await test(folder, catcher.slice(TEST.length), servers);
    return { ...one, caughtBy };
  } finally {
    execFileSync("git", ["apply", "--reverse", patch], { cwd: folder });
  }
}

async function serversFor(chosen: readonly Plant[]): Promise<NodeJS.ProcessEnv> {
  const isNeeded = chosen.some(({ catcher }) => /test\/(integration|e2e|lua)\//.test(catcher));
  if (!isNeeded) return {};
  const { mysqlUrl, redisUrl, natsUrl } = await startThrowAwayServers();
  return { TEST_MYSQL_URL: mysqlUrl, TEST_REDIS_URL: redisUrl, TEST_NATS_URL: natsUrl };
}

function documentOf(verdicts: readonly Verdict[]): string {
  const caught = verdicts.filter(({ caughtBy }) => caughtBy !== undefined);
  const rows = verdicts.map(
    ({ name, bug, catcher, caughtBy }) =>
      `| ${name} | ${bug} | \`${catcher}\` | ${caughtBy ?? "**survived**"} |`,
  );
  return [
    "# Planted bugs",
    "",
    "Written by `npm run planted`: each bug is a patch in `test/planted/`, applied to a copy of the tree;",
    "the test named in its header must fail.",
    "",
    `${caught.length} of ${verdicts.length} are caught.`,
    "",
    "| bug | what is wrong | looked for by | caught by |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

async function main(numbers: readonly string[]): Promise<boolean> {
  const isAll = numbers.length === 0;
  const chosen = plants().filter(({ name }) => isAll || numbers.includes(name.slice(0, 2)));
  const folder = copyOfTree();
  const servers = await serversFor(chosen);
  const verdicts: Verdict[] = [];
  for (const one of chosen) {
    const verdict = await plant(folder, one, servers);
    verdicts.push(verdict);
    console.log(`${one.name.padEnd(40)} ${verdict.caughtBy ?? "SURVIVED"}`);
  }
  if (isAll) writeFileSync(DOCUMENT, documentOf(verdicts));
  const survivors = verdicts.filter(({ caughtBy }) => caughtBy === undefined);
  console.log(`${verdicts.length - survivors.length} of ${verdicts.length} are caught`);
  return survivors.length === 0;
}

process.exit((await main(process.argv.slice(2))) ? 0 : 1);
