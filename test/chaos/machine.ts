// What the machine lets faults be made with: asked before a cell is run, so that it can say why it is not. Mounts and
// networks are made where only this process sees them, and are gone with it, however it ends.
import { spawn, spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const PRIVATE_MARK = "CHAOS_PRIVATE_MOUNTS";

/** True in a process whose mounts are its own. */
export function hasPrivateMounts(): boolean {
  return process.env[PRIVATE_MARK] === "1";
}

/**
 * Runs this program once more with mounts of its own and answers its exit code; undefined when this process has them,
 * or may not have them.
 */
export async function runWithPrivateMounts(): Promise<number | undefined> {
  if (hasPrivateMounts() || spawnSync("unshare", ["--mount", "true"]).status !== 0)
    return undefined;
  const again = ["--mount", process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [PRIVATE_MARK]: "1" };
  const child = spawn("unshare", again, { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => child.kill(signal));
  }
  return await new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}

/** Why servers cannot be put on small disks here; undefined when they can. */
export function whyNoDisks(): string | undefined {
  return hasPrivateMounts() ? undefined : "no right to mount a small disk";
}

/** Path of the library that gives a process another time; empty when there is none. */
export function faketimeLibrary(): string {
  return globSync("/usr/lib/*/faketime/libfaketime.so.1")[0] ?? "";
}
