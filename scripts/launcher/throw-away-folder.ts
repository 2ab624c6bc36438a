// Folders for servers whose data nobody wants to keep. A folder's name holds the id of the process it belongs to,
// so that what a killed process left behind is recognised and removed by the next one.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signalPid } from "./guard.ts";

/** A new empty folder of this process; `prefix` names the purpose and ends with "-". */
export function makeThrowAwayFolder(prefix: string): string {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : NaN;
    if (Number.isInteger(pid) && !signalPid(pid, 0)) removeStale(join(tmpdir(), name));
  }
  return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
}

/** What another process left and this one may not remove keeps nobody from starting. */
function removeStale(folder: string): void {
  try {
    removeThrowAwayFolder(folder);
  } catch {
    // The next start tries again.
  }
}

export function removeThrowAwayFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
