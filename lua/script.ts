// Lua scripts as source files. A script's header names its keys and arguments; defining it here
// fails at load when the names or their order differ, so that a position can never be mistyped.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** A name, or `name...` for the rest of the list. At most the last one may be such a rest. */
type Names = readonly string[];

type ValueOf<Name extends string, Value> = Name extends `${string}...` ? readonly Value[] : Value;
type Named<N extends Names, Value> = {
  readonly [Name in N[number] as Name extends `${infer Base}...` ? Base : Name]: ValueOf<
    Name,
    Value
  >;
};

export interface ScriptDefinition<K extends Names, A extends Names, Reply> {
  readonly keys: K;
  readonly args: A;
  /** Gives Redis's raw reply its meaning; throws on a reply the header does not name. */
  readonly reply: (raw: unknown) => Reply;
}

export interface Script<K extends Names, A extends Names, Reply> {
  readonly name: string;
  /** One EVALSHA; the text is sent only when the server does not know it. Rejects with Redis's error. */
  run(redis: Redis, keys: Named<K, string>, args: Named<A, string | number>): Promise<Reply>;
}

/** @param name path below lua/ without `.lua`, such as `rate-limit/gcra`. */
export function defineScript<const K extends Names, const A extends Names, Reply>(
  name: string,
  definition: ScriptDefinition<K, A, Reply>,
): Script<K, A, Reply> {
  const text = readFileSync(new URL(`./${name}.lua`, import.meta.url), "utf8");
  checkHeader(name, text, definition);
  const sha = createHash("sha1").update(text).digest("hex");
  namesBySha.set(sha, name);
  return {
    name,
    async run(redis, keys, args) {
      const keyList = inOrder(definition.keys, keys) as string[];
      const list = [...keyList, ...inOrder(definition.args, args)];
      return definition.reply(await evaluate(redis, { sha, text }, keyList.length, list));
    },
  };
}

const namesBySha = new Map<string, string>();

/** Name of a defined script by what EVALSHA sends; for metrics and spans. */
export function scriptName(sha: unknown): string | undefined {
  return typeof sha === "string" ? namesBySha.get(sha) : undefined;
}

async function evaluate(
  redis: Redis,
  { sha, text }: { readonly sha: string; readonly text: string },
  keyCount: number,
  list: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha, keyCount, ...list);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return await redis.eval(text, keyCount, ...list);
  }
}

function inOrder(names: Names, values: object): (string | number)[] {
  const byName = values as Readonly<Record<string, string | number | readonly (string | number)[]>>;
  return names.flatMap((name) => byName[name.replace(/\.\.\.$/, "")] ?? []);
}

const HEADER_LINE = /^-- (KEYS|ARGV)\[(\d+|n|\d+\.\.)\] (\w+)/gm;

/** Throws when the header of a script and its definition name different keys or arguments. */
export function checkHeader(
  name: string,
  text: string,
  { keys, args }: { readonly keys: Names; readonly args: Names },
): void {
  const found = { KEYS: [] as string[], ARGV: [] as string[] };
  for (const [, list, position = "", word = ""] of text.matchAll(HEADER_LINE)) {
    const rest = position === "n" || position.endsWith("..") ? "..." : "";
    found[list as "KEYS" | "ARGV"].push(word + rest);
  }
  if (!/^-- Returns/m.test(text)) throw new Error(`lua/${name}.lua does not say what it returns`);
  compare(`lua/${name}.lua KEYS`, found.KEYS, keys);
  compare(`lua/${name}.lua ARGV`, found.ARGV, args);
}

function compare(where: string, header: Names, catalogue: Names): void {
  if (header.join(" ") === catalogue.join(" ")) return;
  throw new Error(
    `${where}: the header has [${header.join(" ")}], the catalogue [${catalogue.join(" ")}]`,
  );
}
