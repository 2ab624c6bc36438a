// `npm run logs -- --order <id>` (or --trace, --request): the story of one order over all nodes, in time order:
// what the services wrote down about it, and every line of the log files that belongs to it.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import picocolors from "picocolors";
import { loadSettings } from "../../config/load.ts";
import { databaseCredentials } from "../../config/database.ts";
import { createLog } from "../../mixins/log.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { storySources, tellOrder } from "../../services/auditor/order-story.ts";
import { schemaNames } from "../../services/auditor/schema-names.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { type DataFolder, dataFolderAt } from "../launcher/data-folder.ts";
import { LauncherError } from "../launcher/launcher-error.ts";
import { readPlatformEnv } from "../launcher/run-state.ts";
import { explain } from "../launcher/up.ts";
import { type LogLine, LINES_MAX, searchLogs } from "./log-search.ts";

const STORY_CONNECTIONS = 2;
const DETAIL_LENGTH_MAX = 200;

interface Told {
  readonly at: string;
  readonly who: string;
  readonly what: string;
  readonly details: Readonly<Record<string, unknown>>;
}

interface Wanted {
  readonly orderId: string | undefined;
  readonly ids: readonly string[];
  readonly isJson: boolean;
}

function readOptions(): Wanted {
  const { values } = parseArgs({
    options: {
      order: { type: "string" },
      trace: { type: "string" },
      request: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const { order, trace, request, json } = values;
  const ids = [order, trace, request].filter((id) => id !== undefined && id !== "") as string[];
  if (ids.length !== 1) {
    throw new LauncherError(
      "Say whose story is wanted: --order, --trace or --request.",
      "Example: npm run logs -- --order 7256473801728",
    );
  }
  return { orderId: order, ids, isJson: json };
}

async function main(): Promise<void> {
  const { orderId, ids, isJson } = readOptions();
  const given = process.env["DATA_DIR"] ?? "";
  const folder = dataFolderAt(
    resolve(import.meta.dirname, "../..", given === "" ? ".data" : given),
  );
  if (!existsSync(folder.log)) {
    throw new LauncherError(
      `There are no log files in ${folder.log}.`,
      "Set DATA_DIR to the folder the platform runs in.",
    );
  }
  const story = orderId === undefined ? [] : await storyOf(folder, orderId);
  const tied = story.flatMap(({ details }) => [details["request_id"], details["trace_id"]]);
  const all = [...ids, ...tied.filter((id) => typeof id === "string")];
  const { lines, isCut } = await searchLogs(folder.log, all);
  const told = [...story, ...lines.map(toldOf)].sort((a, b) => (a.at < b.at ? -1 : 1));
  for (const one of told) console.log(isJson ? JSON.stringify(one) : textOf(one));
  if (isCut) console.error(`only the first ${LINES_MAX} lines are shown`);
  if (told.length > 0) return;
  console.error(
    "Nothing is known of it. With LOG_LEVEL=info and LOG_REQUESTS=true more is written.",
  );
  process.exitCode = 1;
}

/** What the database knows; nothing when the platform does not run here, for logs can be read without it. */
async function storyOf(folder: DataFolder, orderId: string): Promise<readonly Told[]> {
  const settings = settingsOf(folder);
  if (settings === undefined) {
    console.error(`No platform runs in ${folder.root}: only its log files are read.`);
    return [];
  }
  const database = createDatabase({
    ...databaseCredentials(settings, "auditor"),
    poolSize: STORY_CONNECTIONS,
    log: createLog("error", { node: "logs" }),
  });
  try {
    const { items } = await tellOrder(database, storySources(schemaNames(settings)), orderId);
    return items.map(({ at, service, kind, summary, details }) => ({
      at,
      who: service,
      what: `${kind}: ${summary}`,
      details: details as Readonly<Record<string, unknown>>,
    }));
  } catch (error) {
    if (isPlatformError(error, "ORDER_NOT_FOUND")) return [];
    console.error("The database does not answer: only the log files are read.");
    return [];
  } finally {
    await database.close();
  }
}

function settingsOf(folder: DataFolder): ReturnType<typeof loadSettings> | undefined {
  try {
    return loadSettings({ ...readPlatformEnv(folder) });
  } catch (error) {
    if (error instanceof LauncherError) return undefined;
    throw error;
  }
}

function toldOf({ time, node, level, message, fields }: LogLine): Told {
  return { at: time, who: node, what: `${level} ${message}`, details: fields };
}

function textOf({ at, who, what, details }: Told): string {
  const shown = Object.entries(details)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${cut(value)}`);
  return `${picocolors.dim(at)} ${picocolors.cyan(who.padEnd(16))} ${what} ${picocolors.dim(shown.join(" "))}`;
}

function cut(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > DETAIL_LENGTH_MAX ? `${text.slice(0, DETAIL_LENGTH_MAX)}…` : text;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof LauncherError)) throw error;
  explain(error);
  process.exitCode = error.exitCode;
}
