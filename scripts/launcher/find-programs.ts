// Finds the three server programs this machine has and checks that they are new enough.
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { LauncherError } from "./launcher-error.ts";

const run = promisify(execFile);

/** Folders a normal user's PATH lacks although distributions put servers there. */
const EXTRA_FOLDERS = [
  "/usr/sbin",
  "/usr/local/sbin",
  "/usr/local/bin",
  "/sbin",
  "/opt/homebrew/bin",
  "/opt/homebrew/opt/mariadb/bin",
  "/opt/homebrew/opt/mysql/bin",
];
const VERSION_TIMEOUT_MS = 10_000;

export type ServerKind = "redis" | "nats" | "mysql";
export const SERVER_KINDS: readonly ServerKind[] = ["redis", "nats", "mysql"];

export type ServerFlavour = "redis" | "valkey" | "nats" | "mariadb" | "mysql";

export interface ServerProgram {
  kind: ServerKind;
  path: string;
  version: string;
  flavour: ServerFlavour;
}

const CANDIDATES: Readonly<Record<ServerKind, readonly string[]>> = {
  redis: ["redis-server", "valkey-server"],
  nats: ["nats-server"],
  mysql: ["mariadbd", "mysqld"],
};

/** Oldest version of each flavour that the platform's statements and streams work on. */
const MINIMUM_VERSION: Readonly<Record<ServerFlavour, readonly [number, number]>> = {
  redis: [6, 2],
  valkey: [7, 2],
  nats: [2, 9],
  mariadb: [10, 6],
  mysql: [8, 0],
};

/** Full path of a program on PATH or in the usual server folders, or null. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...EXTRA_FOLDERS];
  for (const folder of folders) {
    if (folder === "") continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return null;
}

/** The server program of one kind, or null when the machine has none. Throws LauncherError when it is too old. */
export async function findServer(kind: ServerKind): Promise<ServerProgram | null> {
  for (const name of CANDIDATES[kind]) {
    const path = findProgram(name);
    if (path === null) continue;
    const { stdout } = await run(path, ["--version"], { timeout: VERSION_TIMEOUT_MS });
    return checkVersion(kind, path, stdout);
  }
  return null;
}

/** Reads flavour and version out of a `--version` answer and refuses versions that are too old. */
export function checkVersion(kind: ServerKind, path: string, answer: string): ServerProgram {
  const flavour = flavourOf(kind, answer);
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(answer);
  if (match === null) {
    throw new LauncherError(
      `${path} does not tell its version.`,
      `Install a current ${kind} server.`,
      { exitCode: 2 },
    );
  }
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const [wantedMajor, wantedMinor] = MINIMUM_VERSION[flavour];
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    throw new LauncherError(
      `${path} is ${flavour} ${match[0]}, and the platform needs ${wantedMajor}.${wantedMinor} or newer.`,
      `Install a newer one, or set ${urlSettingOf(kind)} to a server that is new enough.`,
      { exitCode: 2 },
    );
  }
  return { kind, path, version: match[0], flavour };
}

function flavourOf(kind: ServerKind, answer: string): ServerFlavour {
  if (kind === "nats") return "nats";
  if (kind === "redis") return /valkey/i.test(answer) ? "valkey" : "redis";
  return /mariadb/i.test(answer) ? "mariadb" : "mysql";
}

export type UrlSetting = "MYSQL_URL" | "REDIS_URL" | "NATS_URL";

/** The setting that names a server of this kind which the launcher then does not start. */
export function urlSettingOf(kind: ServerKind): UrlSetting {
  if (kind === "mysql") return "MYSQL_URL";
  return kind === "redis" ? "REDIS_URL" : "NATS_URL";
}
