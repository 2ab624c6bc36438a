// The settings one start works with: the environment, completed by the folder's secrets and ports, checked as a
// whole before anything is started.
import { loadSettings, SettingsError } from "../../config/load.ts";
import type { Settings } from "../../config/schema.ts";
import { SETTINGS } from "../../config/schema.ts";
import type { ServerCredentials } from "./credentials.ts";
import type { ServerKind } from "./find-programs.ts";
import { SERVER_KINDS, urlSettingOf } from "./find-programs.ts";
import { LauncherError } from "./launcher-error.ts";
import type { Secrets } from "./secrets.ts";
import { SETTING_SECRETS } from "./secrets.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Stands for the URL of a server that is not started yet, while the other settings are checked. */
const URL_TO_COME: Readonly<Record<ServerKind, string>> = {
  mysql: "mysql://127.0.0.1",
  redis: "redis://:that-will-be-made@127.0.0.1",
  nats: "nats://:that-will-be-made@127.0.0.1",
};

/** URLs of servers the operator runs himself. */
export function givenServers(environment: Environment): Partial<Record<ServerKind, string>> {
  const given: Partial<Record<ServerKind, string>> = {};
  for (const kind of SERVER_KINDS) {
    const url = environment[urlSettingOf(kind)] ?? "";
    if (url !== "") given[kind] = url;
  }
  return given;
}

/** All faults of the environment at once, as a LauncherError; answers the settings without the servers' URLs. */
export function checkSettings(environment: Environment, secrets: Secrets): Settings {
  const overrides: Record<string, string> = settingSecrets(secrets);
  for (const kind of SERVER_KINDS) {
    const given = givenServers(environment)[kind];
    overrides[urlSettingOf(kind)] = given ?? URL_TO_COME[kind];
  }
  try {
    return loadSettings(environment, overrides);
  } catch (cause) {
    if (!(cause instanceof SettingsError)) throw cause;
    throw new LauncherError(cause.message, "Correct them in the environment and start again.", {
      exitCode: 2,
      cause,
    });
  }
}

export function settingSecrets(secrets: Secrets): Record<string, string> {
  return Object.fromEntries(SETTING_SECRETS.map((name) => [name, secrets[name]]));
}

export function serverCredentials(secrets: Secrets): ServerCredentials {
  return {
    redisPassword: secrets.REDIS_PASSWORD,
    natsPassword: secrets.NATS_PASSWORD,
    mysqlPassword: secrets.MYSQL_PASSWORD,
  };
}

/** The settings the environment names, so that a node started by hand gets the same ones. */
export function namedSettings(environment: Environment): Record<string, string> {
  const named: Record<string, string> = {};
  for (const name of Object.keys(SETTINGS.properties)) {
    const value = environment[name] ?? "";
    if (value !== "") named[name] = value;
  }
  return named;
}
