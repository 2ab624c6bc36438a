// Starts a program so that it can never outlive its starter.
//
// Each program runs under a small shell (guard.sh), in a session of its own: the terminal's Ctrl-C
// and hang-up reach only the launcher. The shell holds one end of a socket whose other end only the
// launcher has open. When the launcher goes, however it goes (SIGKILL too), the kernel closes that
// end, the shell sees the end of the stream, and the program gets SIGTERM and, a bounded time
// later, SIGKILL. The shell writes the program's process id to the same socket, so that the
// launcher signals the program and not its guard.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";

const GUARD = join(import.meta.dirname, "guard.sh");
const PID_REPORT_TIMEOUT_MS = 10_000;
const STOP_GRACE_MS = 10_000;

export interface GuardedProgram {
  program: string;
  args: readonly string[];
  /** Working directory; also how a stale process is recognised later. */
  cwd: string;
  /** File that receives stdout and stderr, appended. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
}

export interface ProcessExit {
  /** Exit code as the shell reports it: 128 + signal number when the program was killed. */
  code: number;
}

export interface GuardedProcess {
  /** Process id of the program itself, not of its guard. */
  readonly pid: number;
  /** Settles when the program is gone; does not keep the event loop alive. */
  readonly exited: Promise<ProcessExit>;
  isRunning(): boolean;
  /** Like `exited`, but keeps the event loop alive until then. */
  waitForExit(): Promise<ProcessExit>;
  /** Sends a signal to the program; a program that has ended already is no error. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL when the program has not ended within the grace time; resolves when it is gone. */
  stop(graceMs?: number): Promise<ProcessExit>;
}

/**
 * Starts the program under its guard and resolves when its process id is known.
 * The process never keeps the event loop alive; a failure to start shows as an early `exited`.
 */
export async function startGuarded(options: GuardedProgram): Promise<GuardedProcess> {
  const log = openSync(options.logFile, "a", 0o600);
  let guard: ChildProcess;
  try {
    guard = spawn("/bin/sh", [GUARD, options.program, ...options.args], {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: ["ignore", log, log, "pipe"],
    });
  } finally {
    closeSync(log);
  }
  const line = guard.stdio[3] as Duplex & { unref?: () => void };
  line.on("error", () => undefined);
  const exited = new Promise<ProcessExit>((resolve, reject) => {
    guard.once("error", reject);
    guard.once("exit", (code) => {
      line.destroy();
      resolve({ code: code ?? 1 });
    });
  });
  exited.catch(() => undefined);
  const pid = await readPid(line, exited);
  line.resume();
  guard.unref();
  line.unref?.();
  return new GuardedChild(pid, guard, exited);
}

async function readPid(line: Duplex, exited: Promise<ProcessExit>): Promise<number> {
  const reported = new Promise<number>((resolve) => {
    let text = "";
    line.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.includes("\n")) resolve(Number.parseInt(text, 10));
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no process id within ${PID_REPORT_TIMEOUT_MS} ms`));
    }, PID_REPORT_TIMEOUT_MS);
  });
  try {
    const endedEarly = exited.then(({ code }) => {
      throw new Error(`the guard ended with code ${code} before it started its program`);
    });
    return await Promise.race([reported, late, endedEarly]);
  } finally {
    clearTimeout(timer);
  }
}

class GuardedChild implements GuardedProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  readonly #guard: ChildProcess;

  constructor(pid: number, guard: ChildProcess, exited: Promise<ProcessExit>) {
    this.pid = pid;
    this.exited = exited;
    this.#guard = guard;
  }

  isRunning(): boolean {
    return this.#guard.exitCode === null && this.#guard.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning()) signalPid(this.pid, signal);
  }

  async waitForExit(): Promise<ProcessExit> {
    this.#guard.ref();
    return await this.exited;
  }

  async stop(graceMs: number = STOP_GRACE_MS): Promise<ProcessExit> {
    this.signal("SIGCONT");
    this.signal("SIGTERM");
    const timer = setTimeout(() => {
      this.signal("SIGKILL");
    }, graceMs);
    try {
      return await this.waitForExit();
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Signals a process; false when there is none with that id (or it is another user's). */
export function signalPid(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
