// Finds the lines that belong to one order, trace or request in the log files of all nodes. Work for an order is
// done under several requests (placing, paying, a provider's callback), so the ids that stand beside a wanted
// one are wanted too, until nothing new is found.
import { createReadStream, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

/** Lines kept; an order has some dozens. */
export const LINES_MAX = 10_000;
/** Passes over the files: order → its requests and traces → what else those did. */
const PASSES_MAX = 3;
/** Rotated files are `<name>.log.1` (newest) to `.N`. */
const LOG_FILE = /\.log(?:\.\d+)?$/;
/** Fields by which lines are tied together. */
const TYING_FIELDS = ["request_id", "trace_id"] as const;

export interface LogLine {
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly node: string;
  readonly level: string;
  readonly message: string;
  /** The line's other fields. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface FoundLines {
  /** In time order. */
  readonly lines: readonly LogLine[];
  readonly isCut: boolean;
}

/** @param ids whole values to look for in any field of a line */
export async function searchLogs(folder: string, ids: readonly string[]): Promise<FoundLines> {
  const files = readdirSync(folder)
    .filter((name) => LOG_FILE.test(name))
    .map((name) => join(folder, name));
  const wanted = new Set(ids);
  let found: LogLine[] = [];
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const known = wanted.size;
    found = [];
    for (const file of files) await searchFile(file, wanted, found);
    for (const line of found) for (const id of tiesOf(line)) wanted.add(id);
    if (wanted.size === known) break;
  }
  const lines = found.sort((left, right) => (left.time < right.time ? -1 : 1));
  return { lines, isCut: found.length >= LINES_MAX };
}

async function searchFile(
  file: string,
  wanted: ReadonlySet<string>,
  found: LogLine[],
): Promise<void> {
  const input = createReadStream(file, "utf8");
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (found.length >= LINES_MAX) return;
    const line = readLine(text, basename(file));
    if (line !== undefined && isWanted(line, wanted)) found.push(line);
  }
}

/** Undefined for a line of a server, or one that was cut short. */
export function readLine(text: string, file: string): LogLine | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const { time, node, level, msg, ...fields } = JSON.parse(text) as Record<string, unknown>;
    if (typeof time !== "string") return undefined;
    return {
      time,
      node: typeof node === "string" ? node : file,
      level: typeof level === "string" ? level : "",
      message: typeof msg === "string" ? msg : "",
      fields,
    };
  } catch {
    return undefined;
  }
}

function isWanted({ fields }: LogLine, wanted: ReadonlySet<string>): boolean {
  return Object.values(fields).some((value) => typeof value === "string" && wanted.has(value));
}

function tiesOf({ fields }: LogLine): string[] {
  return TYING_FIELDS.map((name) => fields[name]).filter((id) => typeof id === "string");
}
