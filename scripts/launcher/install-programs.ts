// Brings the server programs onto the machine: through apt without a question when we are root, else it names
// the exact command for the package manager that is there. No packaged service is started by the installation.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ServerKind } from "./find-programs.ts";
import { findProgram, SERVER_KINDS, urlSettingOf } from "./find-programs.ts";
import { LauncherError } from "./launcher-error.ts";

const run = promisify(execFile);

const APT_TIMEOUT_MS = 600_000;
const APT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const ERROR_LINES_SHOWN = 5;

export type Installable = ServerKind | "luacheck" | "chromium" | "nginx" | "promtool";

type PackageManager = "apt-get" | "brew" | "dnf" | "pacman" | "apk";

interface ManagerCommand {
  manager: PackageManager;
  command: string;
  packages: Readonly<Record<Installable, readonly string[]>>;
}

/** The core packages of MariaDB bring the server without a service, questions or perl. */
const MANAGERS: readonly ManagerCommand[] = [
  {
    manager: "apt-get",
    command: "sudo apt-get install -y --no-install-recommends",
    packages: {
      redis: ["redis-server"],
      nats: ["nats-server"],
      mysql: ["mariadb-server-core", "mariadb-client-core"],
      luacheck: ["lua-check"],
      chromium: ["chromium"],
      nginx: ["nginx-light"],
      promtool: ["prometheus"],
    },
  },
  {
    manager: "brew",
    command: "brew install",
    packages: {
      redis: ["redis"],
      nats: ["nats-server"],
      mysql: ["mariadb"],
      luacheck: ["luacheck"],
      chromium: ["chromium"],
      nginx: ["nginx"],
      promtool: ["prometheus"],
    },
  },
  {
    manager: "dnf",
    command: "sudo dnf install -y",
    packages: {
      redis: ["valkey"],
      nats: ["nats-server"],
      mysql: ["mariadb-server"],
      luacheck: ["luacheck"],
      chromium: ["chromium"],
      nginx: ["nginx"],
      promtool: ["golang-github-prometheus"],
    },
  },
  {
    manager: "pacman",
    command: "sudo pacman -S --needed",
    packages: {
      redis: ["valkey"],
      nats: ["nats-server"],
      mysql: ["mariadb"],
      luacheck: ["luacheck"],
      chromium: ["chromium"],
      nginx: ["nginx"],
      promtool: ["prometheus"],
    },
  },
  {
    manager: "apk",
    command: "sudo apk add",
    packages: {
      redis: ["redis"],
      nats: ["nats-server"],
      mysql: ["mariadb"],
      luacheck: ["luacheck"],
      chromium: ["chromium"],
      nginx: ["nginx"],
      promtool: ["prometheus"],
    },
  },
];

/**
 * A policy-rc.d that answers 101 keeps dpkg from starting services. Only one that carries our mark is ever
 * removed; installs of several launchers wait for each other, so that none removes it under another.
 */
const APT_SCRIPT = `
set -e
policy=/usr/sbin/policy-rc.d
mark='# flash-sale-platform: no packaged service starts while its launcher installs servers'
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
  chmod 755 "$policy"
fi
tidy() { if grep -qF "$mark" "$policy" 2>/dev/null; then rm -f "$policy"; fi; }
trap tidy EXIT
trap 'exit 143' HUP INT TERM
install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"; }
export DEBIAN_FRONTEND=noninteractive
install "$@" || { apt-get update -q -o DPkg::Lock::Timeout=120; install "$@"; }
`;
const INSTALL_LOCK = "/var/lock/flash-sale-platform-install.lock";

/** Installs what is missing, or throws a LauncherError (exit code 2) that says how to. */
export async function installPrograms(missing: readonly Installable[]): Promise<void> {
  const manager = MANAGERS.find((one) => findProgram(one.manager) !== null);
  const isRoot = process.getuid?.() === 0;
  const mayInstall = isRoot && manager?.manager === "apt-get" && !isSwitchedOff();
  if (!mayInstall) throw explainMissing(missing, manager);
  const packages = missing.flatMap((one) => manager.packages[one]);
  const script = ["/bin/sh", "-c", APT_SCRIPT, "install", ...packages];
  const [program, ...args] =
    findProgram("flock") === null ? script : ["flock", INSTALL_LOCK, ...script];
  try {
    await run(program ?? "/bin/sh", args, {
      timeout: APT_TIMEOUT_MS,
      maxBuffer: APT_OUTPUT_BYTES_MAX,
    });
  } catch (cause) {
    throw explainFailure(cause, packages, missing);
  }
}

function isSwitchedOff(): boolean {
  return process.env["LAUNCHER_NO_INSTALL"] === "1";
}

function explainMissing(
  missing: readonly Installable[],
  manager: ManagerCommand | undefined,
): LauncherError {
  const names = missing.join(", ");
  const wayOut =
    manager === undefined
      ? `Install ${names} for this system${orSetUrls(missing)}.`
      : `Install with:\n\n    ${manager.command} ${missing.flatMap((one) => manager.packages[one]).join(" ")}\n\n  and start again${orSetUrls(missing)}.`;
  return new LauncherError(`Not found on this machine: ${names}.`, wayOut, { exitCode: 2 });
}

function explainFailure(
  cause: unknown,
  packages: readonly string[],
  missing: readonly Installable[],
): LauncherError {
  const { stderr = "", stdout = "" } = cause as { stderr?: string; stdout?: string };
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => /^[EW]:|error/i.test(line));
  const reason = lines.slice(-ERROR_LINES_SHOWN).join("\n  ");
  return new LauncherError(
    `apt could not install ${packages.join(" ")}.${reason === "" ? "" : `\n  ${reason}`}`,
    `Install the packages by hand${orSetUrls(missing)}.`,
    { exitCode: 2, cause },
  );
}

function orSetUrls(missing: readonly Installable[]): string {
  const settings = missing.filter(isServer).map(urlSettingOf);
  return settings.length === 0 ? "" : `, or set ${settings.join(", ")} to servers that run already`;
}

function isServer(one: Installable): one is ServerKind {
  return (SERVER_KINDS as readonly Installable[]).includes(one);
}
