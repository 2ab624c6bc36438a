// One Node process of the platform (services/main.ts with some services), under the guard.
import { randomBytes } from "node:crypto";
import { setPriority } from "node:os";
import { join } from "node:path";
import type { DataFolder } from "./data-folder.ts";
import type { GuardedProcess } from "./guard.ts";
import { startGuarded } from "./guard.ts";
import { LauncherError } from "./launcher-error.ts";
import { logSize, readLogFrom } from "./log-files.ts";
import { endStaleProcess, forgetPid, recordPid } from "./stale-processes.ts";
import { waitUntil } from "./wait-until.ts";

const READY_TIMEOUT_MS = 30_000;
const READY_MARK = '{"ready":';
const NODE_NAME_RANDOM_BYTES = 3;
/** A node ends itself within 25 s of SIGTERM; a little more before it is killed. */
const STOP_GRACE_MS = 27_000;

export interface NodeProcessOptions {
  /** Name of the process: its role, its log file, the first part of its node id. */
  name: string;
  /** Value of SERVICES. */
  services: string;
  metricsPort: number;
  /** Its nice value, where the user may give it. */
  nice: number;
  folder: DataFolder;
  /** Folder of the source code. */
  sourceDir: string;
  /** Settings that every process shares. */
  settings: Readonly<Record<string, string>>;
}

export class NodeProcess {
  readonly name: string;
  readonly services: string;
  readonly metricsPort: number;
  readonly logFile: string;
  readonly #options: NodeProcessOptions;
  #process: GuardedProcess | null = null;
  #logStart = 0;

  constructor(options: NodeProcessOptions) {
    this.name = options.name;
    this.services = options.services;
    this.metricsPort = options.metricsPort;
    this.logFile = join(options.folder.log, `${options.name}.log`);
    this.#options = options;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get exited(): Promise<unknown> {
    return this.#process?.exited ?? Promise.resolve();
  }

  /** Where the log of the present start begins, in bytes. */
  get logStart(): number {
    return this.#logStart;
  }

  isRunning(): boolean {
    return this.#process?.isRunning() ?? false;
  }

  /** Resolves when the process is started, which is before it is ready. */
  async start(): Promise<void> {
    const { folder, sourceDir, settings, services, name, metricsPort, nice } = this.#options;
    await endStaleProcess(folder, name);
    this.#logStart = logSize(this.logFile);
    this.#process = await startGuarded({
      program: process.execPath,
      args: [join(sourceDir, "services", "main.ts")],
      // Its place in the data folder is how a later start knows the process as one of ours.
      cwd: folder.run,
      logFile: this.logFile,
      env: {
        ...inheritedEnvironment(),
        ...settings,
        SERVICES: services,
        NODE_ID: `${name}-${randomBytes(NODE_NAME_RANDOM_BYTES).toString("hex")}`,
        METRICS_PORT: String(metricsPort),
        NODE_COMPILE_CACHE: folder.cache,
      },
    });
    recordPid(folder, name, this.#process.pid);
    if (nice !== 0) trySetPriority(this.#process.pid, nice);
  }

  /** Resolves when every service of the process has started; throws LauncherError when it ended or took too long. */
  async waitUntilReady(): Promise<void> {
    const isReady = (): boolean => readLogFrom(this.logFile, this.#logStart).includes(READY_MARK);
    const isDecided = await waitUntil(() => !this.isRunning() || isReady(), {
      timeoutMs: READY_TIMEOUT_MS,
    });
    if (isDecided && this.isRunning()) return;
    throw new LauncherError(
      isDecided
        ? `The ${this.name} process ended while it was starting.`
        : `The ${this.name} process was not ready within ${READY_TIMEOUT_MS / 1000} s.`,
      `Its log says why: ${this.logFile}`,
      { logFile: this.logFile },
    );
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Lets the process finish what is under way. */
  async stop(): Promise<void> {
    if (this.#process === null) return;
    await this.#process.stop(STOP_GRACE_MS);
    forgetPid(this.#options.folder, this.name);
  }

  kill(): void {
    this.#process?.signal("SIGKILL");
  }
}

function trySetPriority(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    // Only root may, and not in every container.
  }
}

/** Our own environment without npm's variables, which describe the npm run and not the platform. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  return Object.fromEntries(entries);
}
