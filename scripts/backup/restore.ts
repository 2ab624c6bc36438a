// Puts the platform back to what a backup holds. The record comes from the file; everything that is made
// from the record - the gates and caches in Redis, the streams in NATS - is thrown away, because it
// may know of a time that has not happened any more: gates load again, and the auditor has events
// without receipts published again.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import { connect as connectNats } from "nats";
import { Redis } from "ioredis";
import { type Connection, createConnection } from "mysql2/promise";
import { DATABASE_SCHEMAS, type OwnedSchema, schemaName } from "../../config/database.ts";
import type { Settings } from "../../config/schema.ts";
import { streamName } from "../../mixins/channels/topology.ts";
import { migrate } from "../../migrations/migrate.ts";
import { natsOptions } from "../../moleculer.config.ts";
import { EVENT_OWNERS } from "../../services/contracts/events.ts";
import { type DumpHead, type DumpLine, FORMAT, readLine } from "./dump-format.ts";

export type RestoreSettings = Pick<
  Settings,
  "NAMESPACE" | "MYSQL_URL" | "DATABASE_SECRET" | "REDIS_URL" | "NATS_URL"
>;

export interface RestoreReport {
  readonly head: DumpHead;
  readonly statements: number;
  readonly keysDeleted: number;
  readonly streamsDeleted: number;
}

const SCAN_COUNT = 1_000;

/** Reads the whole file first: a damaged one changes nothing. Errors: a sentence. */
export async function restore(settings: RestoreSettings, file: string): Promise<RestoreReport> {
  const { head, statements } = await verify(file);
  const connection = await createConnection({ uri: settings.MYSQL_URL, timezone: "Z" });
  try {
    // A backup was valid where it was made, and its rows come in the order of tables' names.
    await connection.query("SET SESSION foreign_key_checks = 0, unique_checks = 0");
    await load(connection, settings, file);
  } finally {
    await connection.end();
  }
  // Users, rights, and what the product has learned since the backup.
  await migrate(settings);
  const keysDeleted = await forgetKeys(settings);
  const streamsDeleted = await forgetStreams(settings);
  return { head, statements, keysDeleted, streamsDeleted };
}

async function* linesOf(file: string): AsyncGenerator<DumpLine> {
  const input = createReadStream(file).pipe(createGunzip());
  for await (const line of createInterface({ input, crlfDelay: Infinity })) yield readLine(line);
}

async function verify(file: string): Promise<{ head: DumpHead; statements: number }> {
  let head: DumpHead | undefined;
  let seen = 0;
  let promised: number | undefined;
  for await (const line of linesOf(file)) {
    if (line.kind === "head") {
      if (line.format !== FORMAT) throw new Error("This backup has another format.");
      head = line.head;
    }
    if (line.kind === "statement") seen += 1;
    if (line.kind === "end") promised = line.statements;
  }
  if (head === undefined || promised !== seen) {
    throw new Error("This backup is not complete; nothing was changed.");
  }
  return { head, statements: seen };
}

async function load(
  connection: Connection,
  settings: RestoreSettings,
  file: string,
): Promise<void> {
  for await (const line of linesOf(file)) {
    if (line.kind === "schema") await beginSchema(connection, settings, line.schema);
    if (line.kind === "statement") await connection.query(line.sql);
  }
}

async function beginSchema(
  connection: Connection,
  settings: RestoreSettings,
  schema: string,
): Promise<void> {
  if (!(DATABASE_SCHEMAS as readonly string[]).includes(schema)) {
    throw new Error(`The backup has a schema that this platform does not know: ${schema}.`);
  }
  const name = schemaName(settings, schema as OwnedSchema);
  await connection.query("DROP DATABASE IF EXISTS ??", [name]);
  await connection.query("CREATE DATABASE ?? CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", [
    name,
  ]);
  await connection.query("USE ??", [name]);
}

async function forgetKeys({ REDIS_URL, NAMESPACE }: RestoreSettings): Promise<number> {
  const redis = new Redis(REDIS_URL);
  let deleted = 0;
  let cursor = "0";
  try {
    do {
      const [next, keys] = await redis.scan(cursor, "MATCH", `${NAMESPACE}:*`, "COUNT", SCAN_COUNT);
      if (keys.length > 0) deleted += await redis.unlink(...keys);
      cursor = next;
    } while (cursor !== "0");
  } finally {
    redis.disconnect();
  }
  return deleted;
}

async function forgetStreams({ NATS_URL, NAMESPACE }: RestoreSettings): Promise<number> {
  const connection = await connectNats(natsOptions(NATS_URL));
  let deleted = 0;
  try {
    const manager = await connection.jetstreamManager();
    const known = new Set<string>();
    for await (const name of manager.streams.names()) known.add(name);
    for (const owner of EVENT_OWNERS) {
      const name = streamName(NAMESPACE, owner);
      if (known.has(name) && (await manager.streams.delete(name))) deleted += 1;
    }
  } finally {
    await connection.close();
  }
  return deleted;
}
