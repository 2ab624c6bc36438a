// A platform started as an operator starts it, by the launcher in a process of its own.
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { resolve } from "node:path";
import { dataFolderAt } from "../../scripts/launcher/data-folder.ts";
import { signalPid } from "../../scripts/launcher/guard.ts";
import type { RunState } from "../../scripts/launcher/run-state.ts";
import { readRunState } from "../../scripts/launcher/run-state.ts";
import { eventually } from "./eventually.ts";

export const SOURCE_DIR = resolve(import.meta.dirname, "..", "..");
/** A first start on a busy machine, servers and schemas made anew. */
const OPEN_TIMEOUT_MS = 90_000;

export interface LaunchOptions {
  dataDir: string;
  /** 0 lets the launcher choose a free port. */
  port?: number;
  /** Start through `npm start`, as a newcomer does. */
  throughNpm?: boolean;
  environment?: Readonly<Record<string, string>>;
}

export class LaunchedPlatform {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<number | null>;
  readonly #dataDir: string;
  #output = "";

  constructor({ dataDir, port = 0, throughNpm = false, environment = {} }: LaunchOptions) {
    this.#dataDir = dataDir;
    const [program, args] = throughNpm
      ? ["npm", ["start"]]
      : [process.execPath, ["scripts/launcher/main.ts", "up"]];
    this.child = spawn(program, args, {
      cwd: SOURCE_DIR,
      env: { ...bareEnvironment(), ...environment, DATA_DIR: dataDir, PORT: String(port) },
      stdio: "pipe",
    });
    this.exited = new Promise((done) => this.child.once("exit", (code) => done(code)));
    const keep = (chunk: Buffer): void => void (this.#output += chunk.toString("utf8"));
    this.child.stdout.on("data", keep);
    this.child.stderr.on("data", keep);
    endWithThisProcess(this.child);
  }

  /** Everything the launcher has said so far. */
  get output(): string {
    return this.#output;
  }

  get state(): RunState {
    return readRunState(dataFolderAt(this.#dataDir));
  }

  /** Process ids of every server and node, and of the launcher. */
  get pids(): number[] {
    return [this.state.pid, ...this.state.processes.map((one) => one.pid)];
  }

  pidOf(name: string): number {
    const found = this.state.processes.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no process is named ${name}`);
    return found.pid;
  }

  /** Resolves with the public URL when the launcher says that the shop is open. */
  async open(): Promise<string> {
    const isDecided = (): boolean =>
      this.#output.includes("The shop is open") || this.child.exitCode !== null;
    await eventually(isDecided, { timeoutMs: OPEN_TIMEOUT_MS, what: "the shop opens" });
    if (this.child.exitCode !== null) throw new Error(`the start failed:\n${this.#output}`);
    return this.state.url;
  }
}

/** Whatever a test leaves running ends with the test's process, also when that is killed: a shell
 * waits for the end of a pipe that only this process holds. */
function endWithThisProcess(child: ChildProcessWithoutNullStreams): void {
  const watch = spawn(
    "/bin/sh",
    ["-c", 'cat > /dev/null; kill -TERM "$0" 2> /dev/null', String(child.pid)],
    { stdio: ["pipe", "ignore", "ignore"], detached: true },
  );
  watch.unref();
  (watch.stdin as unknown as { unref(): void }).unref();
  child.once("exit", () => watch.kill("SIGKILL"));
}

export const isGone = (pid: number): boolean => !signalPid(pid, 0);

/** The environment without what would change a start: settings, and the servers this test run uses. */
function bareEnvironment(): Record<string, string> {
  const kept = ["PATH", "HOME", "TMPDIR", "LANG", "USER", "NODE_EXTRA_CA_CERTS"];
  const entries = kept.map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
