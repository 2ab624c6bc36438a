// The running platform that sales are stormed on, as it describes itself in its data folder: reached over HTTP by
// the crowd, and by its process ids by whoever kills parts of it.
import { loadSettings } from "../../config/load.ts";
import type { Settings } from "../../config/schema.ts";
import { type DataFolder, dataFolderAt } from "../../scripts/launcher/data-folder.ts";
import { readPlatformEnv, readRunState } from "../../scripts/launcher/run-state.ts";
import { type Admin, signInAdmin } from "../../scripts/demo/demo-sale.ts";
import { eventually } from "../support/eventually.ts";

const BACK_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 60_000;

export interface Stage {
  readonly url: string;
  readonly folder: DataFolder;
  readonly settings: Settings;
  readonly admin: Admin;
}

/** Errors: LauncherError when no platform runs in the folder. */
export async function openStage(dataDir: string): Promise<Stage> {
  const folder = dataFolderAt(dataDir);
  const settings = loadSettings(readPlatformEnv(folder));
  // Buyers connect over IPv4, whose addresses the platform trusts.
  const url = readRunState(folder).url.replace("localhost", "127.0.0.1");
  return { url, folder, settings, admin: await signInAdmin(url, settings) };
}

/** Present process id of a server or a role; it changes with every restart. */
export function pidOf({ folder }: Stage, name: string): number {
  const found = readRunState(folder).processes.find((one) => one.name === name);
  if (found === undefined) throw new Error(`the platform has no process ${name}`);
  return found.pid;
}

/** Resolves when the platform's supervisor has started a killed process again. */
export async function whenBack(stage: Stage, name: string, killedPid: number): Promise<void> {
  await eventually(() => pidOf(stage, name) !== killedPid, {
    timeoutMs: BACK_TIMEOUT_MS,
    what: `${name} is started again`,
  });
}

/** Resolves when a gateway finds everything it needs. */
export async function whenReady(url: string): Promise<void> {
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, {
    timeoutMs: READY_TIMEOUT_MS,
    what: `${url} is ready`,
    intervalMs: 50,
  });
}
