// Reads the environment once, checks it against the schema, and reports every fault at once.
// Nothing else in the product reads process.env.
import { Ajv, type ErrorObject } from "ajv";
import addFormats from "ajv-formats";
import { resolveServices } from "./roles.ts";
import { isSecret, SETTINGS, type SettingName, type Settings } from "./schema.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export class SettingsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`Settings are not valid:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
    this.name = "SettingsError";
    this.faults = faults;
  }
}

const ajv = new Ajv({ allErrors: true, coerceTypes: true, useDefaults: true, strict: false });
addFormats.default(ajv);
const validate = ajv.compile(SETTINGS);

/** Parts of a secret that show it was never chosen. */
const WEAK_SECRET = /^(.)\1+$|change.?me|secret|password|default|example|12345678/i;

const URL_PASSWORD_LENGTH_MIN = 12;

/**
 * @param overrides win over the environment; used by tests and by the launcher.
 * @throws SettingsError naming every fault; values of secrets are never part of it.
 */
export function loadSettings(
  environment: Environment = process.env,
  overrides: Environment = {},
): Settings {
  const raw = pickSettings({ ...environment, ...overrides });
  const faults = validate(raw) ? [] : (validate.errors ?? []).filter(isLeaf).map(describeFault);
  if (faults.length > 0) throw new SettingsError(faults);
  const settings = raw as Settings;
  const semantic = [...unknownServices(settings), ...weakSecrets(settings)];
  if (semantic.length > 0) throw new SettingsError(semantic);
  return Object.freeze(settings);
}

/** An empty variable means "not set": compose files and shells produce them all the time. */
function pickSettings(source: Environment): Record<string, unknown> {
  const names = Object.keys(SETTINGS.properties);
  return Object.fromEntries(
    names
      .map((name) => [name, source[name]])
      .filter(([, value]) => value !== undefined && value !== ""),
  ) as Record<string, unknown>;
}

/** Unions report each branch and then themselves; the last line is the one worth reading. */
function isLeaf(error: ErrorObject): boolean {
  return error.keyword !== "const";
}

function describeFault(error: ErrorObject): string {
  if (error.keyword === "required") {
    return `${String(error.params["missingProperty"])} is missing`;
  }
  const name = error.instancePath.slice(1) as SettingName;
  const values = SETTINGS.properties[name] as { anyOf?: readonly { const?: string }[] };
  if (error.keyword === "anyOf" && values.anyOf !== undefined) {
    return `${name} must be one of ${values.anyOf.map((one) => one.const).join(", ")}`;
  }
  return `${name} ${error.message ?? "is not valid"}`;
}

function unknownServices(settings: Settings): string[] {
  return resolveServices(settings.SERVICES).unknown.map(
    (word) => `SERVICES names "${word}", which is no service and no role`,
  );
}

function weakSecrets(settings: Settings): string[] {
  if (settings.PROFILE === "development") return [];
  return Object.entries(settings).flatMap(([name, value]) => {
    if (!isSecret(name as SettingName) || typeof value !== "string" || value === "") return [];
    const fault = name.endsWith("_URL") ? weaknessOfUrl(name, value) : weaknessOf(value);
    return fault === undefined ? [] : [`${name} ${fault} for profile ${settings.PROFILE}`];
  });
}

function weaknessOf(secret: string): string | undefined {
  return WEAK_SECRET.test(secret.replace(/^whsec_/, "")) ? "is too easy to guess" : undefined;
}

/** Nodes reach the database with passwords of their own, so that its URL may come without one. */
function weaknessOfUrl(name: string, value: string): string | undefined {
  const { username, password, searchParams } = new URL(value.split(",", 1)[0] ?? "");
  // A message server may be reached by a token, which stands where the user would.
  const secret = [password, searchParams.get("token") ?? "", username].find((one) => one !== "");
  if (secret === undefined) return name === "MYSQL_URL" ? undefined : "has no password";
  const isShort = secret.length < URL_PASSWORD_LENGTH_MIN;
  return isShort ? "has a password that is too short" : weaknessOf(secret);
}
