// The secrets of one data folder: made at random at the first start, kept in a file only this user can read.
// What the environment gives wins over what the file holds.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { chmodSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomPassword } from "./credentials.ts";
import type { DataFolder } from "./data-folder.ts";
import { LauncherError, explainFileError } from "./launcher-error.ts";

const SECRETS_FILE = "secrets.json";
const KEY_BYTES = 48;
/** Long enough for a login that is typed from the screen, 96 bits. */
const LOGIN_PASSWORD_BYTES = 12;

const makeKey = (): string => randomBytes(KEY_BYTES).toString("base64url");
const makeLoginPassword = (): string => randomBytes(LOGIN_PASSWORD_BYTES).toString("base64url");

const makeSigningKey = (): string =>
  generateKeyPairSync("ed25519")
    .privateKey.export({ type: "pkcs8", format: "der" })
    .toString("base64");

const MAKERS = {
  JWT_SECRET: makeKey,
  AUDIT_SIGNING_KEY: makeSigningKey,
  PAYMENT_WEBHOOK_SECRET: () => `whsec_${randomBytes(KEY_BYTES).toString("base64")}`,
  DATABASE_SECRET: makeKey,
  API_CLIENT_SECRET: makeKey,
  ADMIN_PASSWORD: makeLoginPassword,
  DEMO_PASSWORD: makeLoginPassword,
  REDIS_PASSWORD: randomPassword,
  NATS_PASSWORD: randomPassword,
  MYSQL_PASSWORD: randomPassword,
} as const satisfies Record<string, () => string>;

export type SecretName = keyof typeof MAKERS;
const SECRET_NAMES = Object.keys(MAKERS) as SecretName[];
export type Secrets = Readonly<Record<SecretName, string>>;

/** Secrets that are settings of the services; the others are the launcher's own. */
export const SETTING_SECRETS = [
  "JWT_SECRET",
  "AUDIT_SIGNING_KEY",
  "PAYMENT_WEBHOOK_SECRET",
  "DATABASE_SECRET",
  "API_CLIENT_SECRET",
  "ADMIN_PASSWORD",
] as const satisfies readonly SecretName[];

/**
 * Reads the folder's secrets, makes the ones that are missing and keeps them. An ADMIN_PASSWORD from the
 * environment is kept too: a later start without it must still show the login that works.
 */
export function openSecrets(
  folder: DataFolder,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Secrets {
  const file = join(folder.root, SECRETS_FILE);
  const kept = readKept(file);
  const secrets = completed(kept);
  const adminPassword = environment["ADMIN_PASSWORD"] ?? "";
  if (adminPassword !== "") secrets.ADMIN_PASSWORD = adminPassword;
  if (SECRET_NAMES.some((name) => secrets[name] !== kept[name])) keep(file, secrets);
  for (const name of SETTING_SECRETS) {
    const given = environment[name] ?? "";
    if (given !== "") secrets[name] = given;
  }
  return secrets;
}

function completed(kept: Partial<Secrets>): Record<SecretName, string> {
  const entries = SECRET_NAMES.map((name) => [name, kept[name] ?? MAKERS[name]()] as const);
  return Object.fromEntries(entries) as Record<SecretName, string>;
}

function keep(file: string, secrets: Secrets): void {
  try {
    writeFileSync(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
    chmodSync(`${file}.new`, 0o600);
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw explainFileError(error, file);
  }
}

function readKept(file: string): Partial<Record<SecretName, string>> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw explainFileError(error, file);
  }
  try {
    const parsed = JSON.parse(text) as Record<string, unknown>;
    const isString = (entry: [string, unknown]): boolean =>
      typeof entry[1] === "string" && entry[1] !== "";
    return Object.fromEntries(Object.entries(parsed).filter(isString));
  } catch (cause) {
    throw new LauncherError(
      `${file} is damaged: it is not JSON.`,
      "Restore it from a backup, or delete it: new secrets are made and everybody has to log in again.",
      { cause },
    );
  }
}
