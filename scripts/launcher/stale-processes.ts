// Process ids on disk: finds servers that an earlier launcher left behind and ends them before new ones start.
// A recorded id is trusted only when that process works inside this data folder, since ids are reused.
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DataFolder } from "./data-folder.ts";
import { signalPid } from "./guard.ts";
import { LauncherError } from "./launcher-error.ts";
import { waitUntil } from "./wait-until.ts";

const STALE_STOP_TIMEOUT_MS = 20_000;
const STALE_KILL_TIMEOUT_MS = 3_000;

function pidFile(folder: DataFolder, name: string): string {
  return join(folder.run, `${name}.pid`);
}

export function recordPid(folder: DataFolder, name: string, pid: number): void {
  writeFileSync(pidFile(folder, name), `${pid}\n`, { mode: 0o600 });
}

export function forgetPid(folder: DataFolder, name: string): void {
  rmSync(pidFile(folder, name), { force: true });
}

/** Ends the process an earlier run recorded under this name, if it still works in this folder. */
export async function endStaleProcess(folder: DataFolder, name: string): Promise<void> {
  const pid = readPid(pidFile(folder, name));
  if (pid !== null && worksIn(pid, folder.root)) {
    signalPid(pid, "SIGCONT");
    signalPid(pid, "SIGTERM");
    const isGone = (): boolean => !signalPid(pid, 0) || !worksIn(pid, folder.root);
    if (!(await waitUntil(isGone, { timeoutMs: STALE_STOP_TIMEOUT_MS }))) {
      signalPid(pid, "SIGKILL");
      if (!(await waitUntil(isGone, { timeoutMs: STALE_KILL_TIMEOUT_MS }))) {
        throw new LauncherError(
          `A ${name} process of an earlier run (process ${pid}) does not end.`,
          `End it (kill -9 ${pid}) and start again.`,
        );
      }
    }
  }
  forgetPid(folder, name);
}

function readPid(file: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    return Number.isInteger(pid) && pid > 1 ? pid : null;
  } catch {
    return null;
  }
}

/** True when the process's command line or working directory lies in the folder. */
function worksIn(pid: number, root: string): boolean {
  const realRoot = realpathSync(root);
  if (process.platform !== "linux") return commandLineOf(pid).includes(root);
  try {
    const isZombie = /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    if (isZombie) return false;
    const workingDir = readlinkSync(`/proc/${pid}/cwd`);
    return workingDir === realRoot || workingDir.startsWith(`${realRoot}/`);
  } catch {
    return false;
  }
}

function commandLineOf(pid: number): string {
  try {
    return execFileSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}
