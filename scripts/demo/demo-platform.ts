// The platform a demonstration runs on: the one that runs in the data folder, else one of its own there,
// started as `npm start` does, with a short payment window and loopback as a trusted proxy.
import { resolve } from "node:path";
import { type Environment, loadSettings } from "../../config/load.ts";
import type { Settings } from "../../config/schema.ts";
import { type DataFolder, openDataFolder } from "../launcher/data-folder.ts";
import { LauncherError } from "../launcher/launcher-error.ts";
import { findRunning, takeLock } from "../launcher/lock.ts";
import { Platform } from "../launcher/platform.ts";
import { isPortFree } from "../launcher/ports.ts";
import { createProgress } from "../launcher/progress.ts";
import { readPlatformEnv, readRunState } from "../launcher/run-state.ts";
import { openSecrets } from "../launcher/secrets.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "..", "..");
const DEMO_SETTINGS = { ORDER_PAYMENT_WINDOW_MS: "12000", TRUSTED_PROXIES: "127.0.0.1" } as const;
const PORT_DEFAULT = 8080;

export interface DemoPlatform {
  readonly url: string;
  readonly settings: Settings;
  /** Whether it was started for the demonstration, and ends with it. */
  readonly isOwn: boolean;
  /** Process id of one of its processes: a server, or the node that serves HTTP. Throws LauncherError
   * when there is none that could be brought back. */
  pidOf(victim: Victim): number;
  stop(): Promise<void>;
}

export const VICTIMS = ["redis", "mysql", "nats", "node"] as const;
export type Victim = (typeof VICTIMS)[number];

/** Errors: LauncherError. */
export async function openDemoPlatform(): Promise<DemoPlatform> {
  const given = process.env["DATA_DIR"] ?? "";
  const folder = openDataFolder(resolve(SOURCE_DIR, given === "" ? ".data" : given));
  const running = await findRunning(folder);
  if (running === null) return await startOwn(folder);
  if (running.state !== "running") {
    throw new LauncherError(
      `The platform in ${folder.root} is ${running.state}.`,
      "Wait until it is there, or gone, and start the demonstration again.",
    );
  }
  return describe(folder, { url: running.url, isOwn: false, stop: () => Promise.resolve() });
}

async function startOwn(folder: DataFolder): Promise<DemoPlatform> {
  for (const [name, value] of Object.entries(DEMO_SETTINGS)) process.env[name] ??= value;
  const isFree = await isPortFree(PORT_DEFAULT);
  process.env["PORT"] ??= isFree ? String(PORT_DEFAULT) : "0";
  const own: { platform?: Platform } = {};
  const lock = await takeLock(folder, () => ({
    pid: process.pid,
    state: own.platform?.state ?? "starting",
    url: own.platform?.url ?? "",
  }));
  if (!lock.isMine) {
    throw new LauncherError(
      `Another start of ${folder.root} is under way.`,
      "Wait until it is there and start the demonstration again.",
    );
  }
  const platform = new Platform({
    sourceDir: SOURCE_DIR,
    folder,
    secrets: openSecrets(folder),
    progress: createProgress(),
    isDev: false,
    onGiveUp: (error) => {
      console.error(`\n  ${error.message}\n  ${error.wayOut}\n`);
      process.exit(error.exitCode);
    },
  });
  own.platform = platform;
  const stop = async (): Promise<void> => {
    await platform.stop();
    await lock.release();
  };
  try {
    await platform.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return describe(folder, { url: platform.url, isOwn: true, stop });
}

function describe(
  folder: DataFolder,
  known: Pick<DemoPlatform, "url" | "isOwn" | "stop">,
): DemoPlatform {
  const environment: Environment = readPlatformEnv(folder);
  const settings = loadSettings(environment);
  if (settings.PROFILE === "production") {
    throw new LauncherError(
      "This platform runs with PROFILE=production.",
      "Made-up buyers are for demonstrations elsewhere: set DATA_DIR to another folder.",
    );
  }
  return {
    ...known,
    // Buyers connect over IPv4, whose addresses the platform can be told to trust.
    url: known.url.replace("localhost", "127.0.0.1"),
    settings,
    pidOf(victim) {
      const { processes } = readRunState(folder);
      const isVictim = (name: string, services = ""): boolean =>
        victim === "node" ? /(^|,)(edge|gateway)(,|$)/.test(services) : name === victim;
      const found = processes.find(({ name, services }) => isVictim(name, services));
      if (found !== undefined) return found.pid;
      throw new LauncherError(
        `This platform's ${victim} was not started by its launcher and would not come back.`,
        "Choose another --kill, or let the demonstration start a platform of its own.",
      );
    },
  };
}
