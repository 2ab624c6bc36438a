// `npm test`: static checks, then every suite on one throw-away set of real servers. Nothing is skipped: a check
// that cannot run and a suite without tests are failures. The last line is "N passed, N failed".
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { dataFolderAt } from "./launcher/data-folder.ts";
import { findServer, SERVER_KINDS } from "./launcher/find-programs.ts";
import type { GuardedProcess } from "./launcher/guard.ts";
import { startGuarded } from "./launcher/guard.ts";
import type { Installable } from "./launcher/install-programs.ts";
import { installPrograms } from "./launcher/install-programs.ts";
import { lastLines } from "./launcher/log-files.ts";
import { inheritedEnvironment } from "./launcher/node-process.ts";
import type { RunningServers } from "./launcher/servers.ts";
import { startServers } from "./launcher/servers.ts";
import { listenForStop } from "./launcher/stop-signals.ts";
import { makeThrowAwayFolder, removeThrowAwayFolder } from "./launcher/throw-away-folder.ts";
import type { Check } from "./test-run/checks.ts";
import { checksOf } from "./test-run/checks.ts";
import type { Failure, Suite, SuiteResult } from "./test-run/suites.ts";
import {
  COVERED_LINES_MIN,
  readReport,
  SERVER_TEST_RETRIES,
  SUITES,
  testFilesOf,
} from "./test-run/suites.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "..");
const REPORTER = join(SOURCE_DIR, "scripts", "test-run", "json-with-retries.ts");
const CHECK_TIMEOUT_MS = 300_000;
const CHECKS_AT_ONCE = 2;
const OUTPUT_LINES_SHOWN = 60;
const INTERRUPTED_EXIT_CODE = 130;

class TestRun {
  readonly #workDir = makeThrowAwayFolder("flash-sale-npm-test-");
  readonly #running = new Set<GuardedProcess>();
  #servers: RunningServers | null = null;
  #passed = 0;
  #failed = 0;

  /** Runs what was asked for by name, or everything; answers the exit code. */
  async run(names: readonly string[]): Promise<number> {
    const isWanted = (name: string): boolean => names.length === 0 || names.includes(name);
    const checks = checksOf(SOURCE_DIR).filter((check) => isWanted(check.name));
    const suites = SUITES.filter((suite) => isWanted(suite.name));
    const known = new Set([...checks, ...suites].map((one) => one.name));
    const unknown = names.filter((name) => !known.has(name));
    if (unknown.length > 0) {
      console.error(`No check and no suite is named ${unknown.join(", ")}.`);
      return 2;
    }
    await this.#runChecks(checks);
    for (const suite of suites) await this.#runSuite(suite);
    await this.stop();
    console.log(`\n${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 ? 0 : 1;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((process) => process.stop()));
    await this.#servers?.stop();
    removeThrowAwayFolder(this.#workDir);
  }

  async #runChecks(checks: readonly Check[]): Promise<void> {
    const queue = checks.values();
    const worker = async (): Promise<void> => {
      for (const check of queue) await this.#runCheck(check);
    };
    await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, worker));
  }

  async #runCheck(check: Check): Promise<void> {
    const startedAt = performance.now();
    const logFile = join(this.#workDir, `${check.name}.log`);
    let code: number | string;
    try {
      const command = await check.command();
      code = await this.#execute({ command, logFile, timeoutMs: CHECK_TIMEOUT_MS });
    } catch (error) {
      code = (error as Error).message;
    }
    const isGood = code === 0;
    if (isGood) this.#passed += 1;
    else this.#failed += 1;
    report(check.name, isGood ? "passed" : `failed (${code})`, startedAt);
    if (!isGood) showLog(logFile);
  }

  async #runSuite(suite: Suite): Promise<void> {
    const startedAt = performance.now();
    const files = testFilesOf(SOURCE_DIR, suite);
    if (files.length === 0) {
      this.#failed += 1;
      report(suite.name, `failed: test/${suite.name} has no tests`, startedAt);
      return;
    }
    const logFile = join(this.#workDir, `${suite.name}.log`);
    try {
      const result = await this.#mocha(suite, files, logFile);
      this.#count(suite, result, startedAt);
    } catch (error) {
      this.#failed += 1;
      report(suite.name, `failed: ${(error as Error).message}`, startedAt);
      showLog(logFile);
    }
  }

  async #mocha(suite: Suite, files: readonly string[], logFile: string): Promise<SuiteResult> {
    const reportFile = join(this.#workDir, `${suite.name}.json`);
    const mocha = join(SOURCE_DIR, "node_modules", "mocha", "bin", "mocha.js");
    const reporter = ["--reporter", REPORTER, "--reporter-option", `output=${reportFile}`];
    const parallel = suite.jobs === 1 ? [] : ["--parallel", "--jobs", String(suite.jobs)];
    const retries = suite.needsServers ? ["--retries", String(SERVER_TEST_RETRIES)] : [];
    const run = [process.execPath, mocha, ...reporter, ...parallel, ...retries, ...files];
    const command = [...this.#coverage(suite), ...run];
    const servers = suite.needsServers ? await this.#serverUrls() : {};
    const code = await this.#execute({ command, logFile, timeoutMs: suite.timeoutMs, servers });
    let result: SuiteResult;
    try {
      result = readReport(readFileSync(reportFile, "utf8"));
    } catch {
      throw new Error(`mocha ended with code ${code} and left no report`);
    }
    // Mocha's code is the number of failures; any other one means that it ended before its end.
    if (code !== 0 && result.failures.length === 0) {
      throw new Error(`mocha ended with code ${code} after its tests had passed`);
    }
    return result;
  }

  /** Ends with another code than mocha's when too little is covered. */
  #coverage({ name, covers = [] }: Suite): readonly string[] {
    if (covers.length === 0) return [];
    const c8 = join(SOURCE_DIR, "node_modules", "c8", "bin", "c8.js");
    const floor = ["--check-coverage", "--lines", String(COVERED_LINES_MIN)];
    const included = covers.flatMap((pattern) => ["--include", pattern]);
    const folder = ["--temp-directory", join(this.#workDir, `${name}-coverage`)];
    return [process.execPath, c8, ...floor, ...included, ...folder, "--reporter", "text-summary"];
  }

  #count(
    suite: Suite,
    { passed, pending, failures, repeated }: SuiteResult,
    startedAt: number,
  ): void {
    this.#passed += passed;
    this.#failed += failures.length;
    if (passed + failures.length === 0) this.#failed += 1;
    const skipped = pending === 0 ? "" : `, ${pending} pending`;
    report(suite.name, `${passed} passed, ${failures.length} failed${skipped}`, startedAt);
    for (const failure of repeated) tell("↻ passed only when repeated:", failure);
    for (const failure of failures) tell("✗", failure);
  }

  async #serverUrls(): Promise<Record<string, string>> {
    this.#servers ??= await this.#startServers();
    return {
      TEST_MYSQL_URL: this.#servers.mysqlUrl,
      TEST_REDIS_URL: this.#servers.redisUrl,
      TEST_NATS_URL: this.#servers.natsUrl,
    };
  }

  async #startServers(): Promise<RunningServers> {
    const startedAt = performance.now();
    const missing: Installable[] = [];
    for (const kind of SERVER_KINDS) if ((await findServer(kind)) === null) missing.push(kind);
    if (missing.length > 0) await installPrograms(missing);
    const servers = await startServers({ dataDir: dataFolderAt(join(this.#workDir, "data")).root });
    report("servers", "started", startedAt);
    return servers;
  }

  async #execute(options: {
    command: readonly string[];
    logFile: string;
    timeoutMs: number;
    servers?: Readonly<Record<string, string>>;
  }): Promise<number> {
    const [program = "", ...args] = options.command;
    const started = await startGuarded({
      program,
      args,
      cwd: SOURCE_DIR,
      logFile: options.logFile,
      env: { ...inheritedEnvironment(), ...options.servers, NO_COLOR: "1" },
    });
    this.#running.add(started);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`not done after ${options.timeoutMs / 1000} s`));
      }, options.timeoutMs);
    });
    try {
      return (await Promise.race([started.waitForExit(), late])).code;
    } catch (error) {
      await started.stop();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#running.delete(started);
    }
  }
}

function report(name: string, text: string, startedAt: number): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`  ${name.padEnd(14)} ${text.padEnd(44)} ${seconds.padStart(6)} s`);
}

function tell(what: string, { title, reason }: Failure): void {
  console.log(`\n    ${what} ${title}\n${reason.replace(/^/gm, "      ")}\n`);
}

function showLog(file: string): void {
  for (const line of lastLines(file, OUTPUT_LINES_SHOWN)) console.log(`      ${line}`);
}

const testRun = new TestRun();
listenForStop({
  stop: () => void testRun.stop().then(() => process.exit(INTERRUPTED_EXIT_CODE)),
  force: () => process.exit(INTERRUPTED_EXIT_CODE),
});
try {
  process.exitCode = await testRun.run(process.argv.slice(2));
} catch (error) {
  await testRun.stop();
  console.error(error);
  process.exitCode = 1;
}
