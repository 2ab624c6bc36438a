// Runs who must notice a planted bug, in a copy of the tree, and tells what came of it. Only what was named
// counts: a suite that cannot start, or fails elsewhere, has caught nothing.
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SERVER_TEST_RETRIES } from "../../scripts/test-run/suites.ts";
import type { Catcher } from "./plants.ts";

const RUN_TIMEOUT_MS = 10 * 60_000;
/** Of one scenario: all its single faults, then as many pairs and walks as there is room for. */
const SCHEDULES = 1_500;
const SAID_MAX = 160;
const REPORT = "planted-report.json";
const SIMULATION = ["--max-semi-space-size=64", join("test", "simulation", "main.ts")];

export type Outcome =
  | { readonly kind: "passed" }
  /** `by`: the test, or the schedule that shows it; `said`: the first line of its complaint. */
  | { readonly kind: "failed"; readonly by: string; readonly said: string }
  /** It was not run to its end, or failed elsewhere than in what was named. */
  | { readonly kind: "broken"; readonly why: string };

/** Where to run, and the servers to run on. */
export interface Copy {
  readonly folder: string;
  readonly servers: NodeJS.ProcessEnv;
}

export async function runCatcher(copy: Copy, catcher: Catcher): Promise<Outcome> {
  return catcher.kind === "test"
    ? await runTest(copy, catcher)
    : await runScenario(copy, catcher.scenario);
}

/** Whether the schedule that shows a bug holds in this copy. */
export async function holds({ folder }: Copy, schedule: string): Promise<boolean> {
  const { code } = await node(folder, [...SIMULATION, "--replay", schedule], {});
  return code === 0;
}

interface Run {
  readonly code: number | null;
  readonly output: string;
}

/** Runs Node in the copy; ended when it takes too long, with no code. */
async function node(
  folder: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<Run> {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: RUN_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  const read = (text: string): void => void (output += text);
  child.stdout.setEncoding("utf8").on("data", read);
  child.stderr.setEncoding("utf8").on("data", read);
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, output };
}

async function runScenario({ folder }: Copy, scenario: string): Promise<Outcome> {
  const options = ["--only", scenario, "--first", "--schedules", String(SCHEDULES)];
  const { code, output } = await node(folder, [...SIMULATION, ...options], {});
  if (code === 0) return { kind: "passed" };
  const [, schedule, said] = /--replay (\S+)\n\s*(.*)/.exec(output) ?? [];
  if (schedule === undefined) return broken(code, output);
  return { kind: "failed", by: schedule, said: shortened(said ?? "") };
}

interface MochaReport {
  readonly stats: { readonly tests: number };
  readonly failures: readonly {
    readonly fullTitle: string;
    readonly err: { readonly message?: string };
  }[];
}

/** Repeated as in `npm test`: a bug fails every time. */
async function runTest(
  { folder, servers }: Copy,
  { file, title }: Extract<Catcher, { kind: "test" }>,
): Promise<Outcome> {
  const report = join(folder, REPORT);
  rmSync(report, { force: true });
  const mocha = join("node_modules", "mocha", "bin", "mocha.js");
  const reporter = ["--reporter", "json", "--reporter-option", `output=${report}`];
  // What breaks off in the middle may leave a connection open, which is no matter of this test.
  const chosen = ["--exit", "--retries", String(SERVER_TEST_RETRIES), "--fgrep", title, file];
  const { code, output } = await node(folder, [mocha, ...reporter, ...chosen], servers);
  let found: MochaReport;
  try {
    found = JSON.parse(readFileSync(report, "utf8")) as MochaReport;
  } catch {
    return broken(code, output);
  }
  const { stats, failures } = found;
  const failure = failures.find(({ fullTitle }) => fullTitle === title);
  if (failure !== undefined) {
    return { kind: "failed", by: title, said: shortened(failure.err.message ?? "") };
  }
  if (failures.length > 0) return { kind: "broken", why: `${failures[0]!.fullTitle} fails` };
  if (stats.tests === 0) return { kind: "broken", why: `${file} has no test of that title` };
  return code === 0 ? { kind: "passed" } : broken(code, output);
}

function broken(code: number | null, output: string): Outcome {
  const error = /\S*Error\b.*$/m.exec(output)?.[0] ?? "";
  return { kind: "broken", why: `ended with code ${code}: ${shortened(error)}` };
}

/** What is said of every difference says nothing. */
function shortened(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  const telling = lines.filter(
    (line) => line !== "" && !/^(Expected values to|\+ actual)/.test(line),
  );
  return (telling.length === 0 ? lines : telling).join(" ").slice(0, SAID_MAX);
}
