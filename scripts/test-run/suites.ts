// The mocha suites of `npm test`, one folder under test/ each, and how their results are read.
import { readdirSync } from "node:fs";
import { join } from "node:path";

const TEST_FILE = /\.test\.ts$/;

export interface Suite {
  /** Name of the folder under test/. */
  name: string;
  /** After this the suite is ended and counts as failed. */
  timeoutMs: number;
  needsServers: boolean;
  /** Test files that run at once, each in a process of its own; they mostly wait for servers. */
  jobs: number;
  /** Files whose lines the suite must cover to COVERED_LINES_MIN per cent. */
  covers?: readonly string[];
}

const MINUTE_MS = 60_000;

export const COVERED_LINES_MIN = 90;
/** A test that meets real servers on a machine shared with others may be repeated this often; every
 * repetition is printed, with why it was needed. A fault in the product fails all of them. */
export const SERVER_TEST_RETRIES = 2;

/** In the order they run: what fails soonest and cheapest first. */
export const SUITES: readonly Suite[] = [
  {
    name: "unit",
    timeoutMs: 2 * MINUTE_MS,
    needsServers: false,
    jobs: 1,
    covers: ["services/*/domain/**", "services/kernel/**"],
  },
  { name: "arch", timeoutMs: 2 * MINUTE_MS, needsServers: false, jobs: 1 },
  { name: "simulation", timeoutMs: 45 * MINUTE_MS, needsServers: false, jobs: 1 },
  { name: "lua", timeoutMs: 3 * MINUTE_MS, needsServers: true, jobs: 2 },
  { name: "integration", timeoutMs: 10 * MINUTE_MS, needsServers: true, jobs: 2 },
  { name: "property", timeoutMs: 8 * MINUTE_MS, needsServers: true, jobs: 2 },
  { name: "e2e", timeoutMs: 15 * MINUTE_MS, needsServers: true, jobs: 2 },
  { name: "security", timeoutMs: 8 * MINUTE_MS, needsServers: true, jobs: 2 },
  { name: "chaos", timeoutMs: 8 * MINUTE_MS, needsServers: true, jobs: 1 },
];

/** The suite's test files, in a fixed order. */
export function testFilesOf(sourceDir: string, suite: Suite): string[] {
  const folder = join(sourceDir, "test", suite.name);
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => TEST_FILE.test(file))
      .sort()
      .map((file) => join(folder, file));
  } catch {
    return [];
  }
}

export interface Failure {
  title: string;
  reason: string;
}

export interface SuiteResult {
  passed: number;
  pending: number;
  failures: Failure[];
  /** Tests that passed only when repeated, and why they failed at first. */
  repeated: Failure[];
}

interface MochaTest {
  fullTitle: string;
  currentRetry?: number;
  err: { message?: string; stack?: string };
}

interface MochaReport {
  stats: { passes: number; pending: number; failures: number };
  failures: MochaTest[];
  passes: MochaTest[];
}

/** Reads the report that JsonWithRetries wrote; throws when there is none or it is cut short. */
export function readReport(text: string): SuiteResult {
  const { stats, failures, passes } = JSON.parse(text) as MochaReport;
  return {
    passed: stats.passes,
    pending: stats.pending,
    repeated: passes.filter(({ currentRetry = 0 }) => currentRetry > 0).map(failureOf),
    failures: failures.map(failureOf),
  };
}

function failureOf({ fullTitle, err }: MochaTest): Failure {
  return { title: fullTitle, reason: err.stack ?? err.message ?? "no reason given" };
}
