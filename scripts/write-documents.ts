// Writes what documents repeat from the code: docs/errors.md, .env.example, the README's table of settings,
// ARCHITECTURE.md's table of events, Grafana's dashboards. Tests in test/arch fail when one is out of step.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isSecret, SETTINGS, type SettingName } from "../config/schema.ts";
import { EVENT_CATALOGUE } from "../services/contracts/events.ts";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../services/contracts/errors.ts";
import { DASHBOARDS } from "./dashboards/dashboards.ts";
import { renderDashboard } from "./dashboards/render.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const NAMES = Object.keys(SETTINGS.properties) as SettingName[];

interface SettingRow {
  readonly name: SettingName;
  readonly doc: string;
  readonly fallback: string;
  readonly bounds: string;
  readonly isRequired: boolean;
}

function settingRow(name: SettingName): SettingRow {
  const schema = SETTINGS.properties[name] as {
    description?: string;
    default?: string | number | boolean;
    minimum?: number;
    maximum?: number;
    minLength?: number;
    anyOf?: readonly { const?: string }[];
  };
  const range =
    schema.minimum === undefined ? "" : `${String(schema.minimum)} – ${String(schema.maximum)}`;
  const choices = (schema.anyOf ?? []).map((one) => one.const ?? "").join(", ");
  const length = schema.minLength === undefined ? "" : `≥ ${String(schema.minLength)} characters`;
  return {
    name,
    doc: schema.description ?? "",
    fallback: schema.default === undefined ? "" : schema.default.toString(),
    bounds: range !== "" ? range : choices !== "" ? choices : length,
    isRequired:
      (SETTINGS.required as readonly string[]).includes(name) && schema.default === undefined,
  };
}

function environmentExample(): string {
  const lines = NAMES.map(settingRow).map(({ name, doc, fallback, bounds, isRequired }) => {
    const note = [doc, bounds, isSecret(name) ? "secret" : ""].filter(Boolean).join("; ");
    return `# ${note}\n${isRequired ? "" : "# "}${name}=${fallback}\n`;
  });
  const head =
    "# Every setting. `npm start` makes the secrets and URLs itself; set them for your own servers.\n\n";
  return head + lines.join("\n");
}

function settingsTable(): string {
  const rows = NAMES.map(settingRow).map(({ name, doc, fallback, bounds, isRequired }) => {
    const value = isSecret(name) || isRequired ? "made by `npm start`" : `\`${fallback}\``;
    return `| \`${name}\` | ${fallback === "" && !isRequired && !isSecret(name) ? "empty" : value} | ${bounds} | ${doc} |`;
  });
  return ["| setting | default | bounds | what it does |", "|---|---|---|---|", ...rows].join("\n");
}

function eventsTable(): string {
  const rows = Object.entries(EVENT_CATALOGUE).map(([name, { consumers }]) => {
    const who = consumers.length === 0 ? "nobody yet" : consumers.join(", ");
    return `| \`${name}\` | ${name.split(".", 1)[0] ?? ""} | ${who} |`;
  });
  return ["| event | published by | consumed by |", "|---|---|---|", ...rows].join("\n");
}

function errorsDocument(): string {
  const rows = (Object.keys(ERROR_CATALOGUE) as ErrorSlug[]).map((slug) => {
    const { retryable, message } = ERROR_CATALOGUE[slug];
    return `| ${String(errorCode(slug))} | \`${slug}\` | ${retryable ? "yes" : "no"} | ${message} |`;
  });
  return [
    "# Errors",
    "",
    "Every failure is `{ code, error, message, details, request_id }`. `code` is the HTTP status × 100 + n.",
    "",
    "| code | error | may the same request succeed later? | message |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function replaceBetween(text: string, marker: string, content: string): string {
  const start = `<!-- ${marker} -->`;
  const end = `<!-- /${marker} -->`;
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`the document has no marker ${marker}`);
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}

writeFileSync(join(ROOT, ".env.example"), environmentExample());
writeFileSync(join(ROOT, "docs/errors.md"), errorsDocument());
for (const dashboard of DASHBOARDS) {
  const file = `deploy/grafana/dashboards/${dashboard.name}.json`;
  writeFileSync(join(ROOT, file), renderDashboard(dashboard));
}
rewrite("README.md", "settings", settingsTable());
rewrite("ARCHITECTURE.md", "events", eventsTable());

function rewrite(name: string, marker: string, content: string): void {
  const path = join(ROOT, name);
  writeFileSync(path, replaceBetween(readFileSync(path, "utf8"), marker, content));
}
