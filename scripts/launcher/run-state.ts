// What other commands need to know of the running platform, as files in the data folder: run/state.json (where
// everything is), run/platform.env (the settings of a node that joins), prometheus-targets.json (what to scrape).
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import type { DataFolder } from "./data-folder.ts";
import { LauncherError } from "./launcher-error.ts";

export interface ProcessState {
  name: string;
  pid: number;
  log_file: string;
  services?: string;
  metrics_port?: number;
  port?: number;
}

export interface RunState {
  pid: number;
  url: string;
  started_at: string;
  namespace: string;
  processes: ProcessState[];
}

const stateFile = (folder: DataFolder): string => join(folder.run, "state.json");
const envFile = (folder: DataFolder): string => join(folder.run, "platform.env");
const targetsFile = (folder: DataFolder): string => join(folder.root, "prometheus-targets.json");

/** Replaces a file whole, so that a reader never sees half of it. */
function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function writeRunState(folder: DataFolder, state: RunState): void {
  replaceFile(stateFile(folder), `${JSON.stringify(state, null, 2)}\n`);
  const targets = state.processes
    .filter((one) => one.metrics_port !== undefined)
    .map((one) => ({
      targets: [`127.0.0.1:${String(one.metrics_port)}`],
      labels: { job: "platform", role: one.name },
    }));
  replaceFile(targetsFile(folder), `${JSON.stringify(targets, null, 2)}\n`);
}

/** Settings of the running platform in the form `node --env-file` reads. */
export function writePlatformEnv(
  folder: DataFolder,
  settings: Readonly<Record<string, string>>,
): void {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${quote(value)}`);
  replaceFile(envFile(folder), `${lines.join("\n")}\n`);
}

/** Backticks may hold anything but backticks in an env file; quotes of the other kinds would be cut. */
function quote(value: string): string {
  return /^[A-Za-z0-9_.:/@+=,-]*$/.test(value) ? value : `\`${value}\``;
}

export function removeRunState(folder: DataFolder): void {
  rmSync(stateFile(folder), { force: true });
  rmSync(envFile(folder), { force: true });
}

/** State of the platform that runs in this folder; throws LauncherError when none runs there. */
export function readRunState(folder: DataFolder): RunState {
  return JSON.parse(readOrExplain(folder, stateFile(folder))) as RunState;
}

/** Settings of the platform that runs in this folder; throws LauncherError when none runs there. */
export function readPlatformEnv(folder: DataFolder): Readonly<Record<string, string>> {
  const entries = Object.entries(parseEnv(readOrExplain(folder, envFile(folder))));
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? ""]));
}

function readOrExplain(folder: DataFolder, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new LauncherError(
      `No platform runs in ${folder.root}.`,
      "Start it with `npm start`, or set DATA_DIR to the folder it runs in.",
      { cause },
    );
  }
}
