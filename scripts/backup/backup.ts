// Writes all schemas of the platform into one file while it runs: one read view over all of them, so that
// what a transaction changed in two tables is in the backup in both or in neither.
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type Connection, createConnection } from "mysql2/promise";
import { DATABASE_SCHEMAS, type OwnedSchema, schemaName } from "../../config/database.ts";
import type { MigrationSettings } from "../../migrations/schema-rights.ts";
import { endLine, headLine, schemaLine, statementLine } from "./dump-format.ts";

/** Rows read at once, and rows in one INSERT. */
const ROWS_PER_READ = 1_000;
const ROWS_PER_INSERT = 200;
/** Readable by its owner alone: it holds password hashes and addresses. */
const FILE_MODE = 0o600;

export interface BackupReport {
  readonly tables: number;
  readonly rows: number;
  readonly statements: number;
}

/** Writes beside the file and renames, so that a failure leaves no half of it. */
export async function backUp(settings: MigrationSettings, file: string): Promise<BackupReport> {
  const connection = await createConnection({
    uri: settings.MYSQL_URL,
    timezone: "Z",
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  const dump = new Dump(connection, settings);
  const unfinished = `${file}.new`;
  try {
    await pipeline(
      Readable.from(dump.lines()),
      createGzip(),
      createWriteStream(unfinished, { mode: FILE_MODE }),
    );
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
    await connection.end();
  }
  return dump.report;
}

interface Column {
  readonly name: string;
  readonly extra: string;
  readonly is_key: number;
}

class Dump {
  readonly #connection: Connection;
  readonly #settings: MigrationSettings;
  #tables = 0;
  #rows = 0;
  #statements = 0;

  constructor(connection: Connection, settings: MigrationSettings) {
    this.#connection = connection;
    this.#settings = settings;
  }

  get report(): BackupReport {
    return { tables: this.#tables, rows: this.#rows, statements: this.#statements };
  }

  async *lines(): AsyncGenerator<string> {
    const connection = this.#connection;
    await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    await connection.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");
    const [version] = await this.#select<{ v: string }>("SELECT VERSION() AS v");
    yield headLine({
      namespace: this.#settings.NAMESPACE,
      made_at: new Date().toISOString(),
      server: version?.v ?? "",
    });
    for (const schema of DATABASE_SCHEMAS) yield* this.#schema(schema);
    yield endLine(this.#statements);
  }

  async *#schema(schema: OwnedSchema): AsyncGenerator<string> {
    const name = schemaName(this.#settings, schema);
    const tables = await this.#select<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables
       WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY table_name`,
      [name],
    );
    yield schemaLine(schema);
    for (const table of tables) yield* this.#table(name, table.name);
  }

  async *#table(schema: string, table: string): AsyncGenerator<string> {
    this.#tables += 1;
    const [created] = await this.#select<Record<string, string>>("SHOW CREATE TABLE ??.??", [
      schema,
      table,
    ]);
    yield this.#statement(created?.["Create Table"] ?? "");
    const columns = await this.#select<Column>(
      `SELECT column_name AS name, extra, column_key = 'PRI' AS is_key
       FROM information_schema.columns WHERE table_schema = ? AND table_name = ?
       ORDER BY ordinal_position`,
      [schema, table],
    );
    // What the server computes by itself cannot be inserted.
    const stored = columns.filter(({ extra }) => !/VIRTUAL|STORED|PERSISTENT/.test(extra));
    const names = stored.map(({ name }) => name);
    const key = columns.filter((column) => column.is_key === 1).map(({ name }) => name);
    for await (const rows of this.#pages(`${schema}.${table}`, names, key)) {
      this.#rows += rows.length;
      yield this.#statement(
        this.#connection.format("INSERT INTO ?? (??) VALUES ?", [table, names, rows]),
      );
    }
  }

  /** Rows in the order of the primary key, each page after the last key of the one before. */
  async *#pages(
    table: string,
    names: readonly string[],
    key: readonly string[],
  ): AsyncGenerator<unknown[][]> {
    if (key.length === 0) throw new Error(`${table} has no primary key`);
    const at = key.map((name) => names.indexOf(name));
    let after: unknown[] | undefined;
    for (;;) {
      const where = after === undefined ? "" : "WHERE (??) > (?)";
      const values = after === undefined ? [] : [key, after];
      const rows = await this.#rowArrays(
        `SELECT ?? FROM ${this.#connection.escapeId(table)} ${where} ORDER BY ?? LIMIT ?`,
        [names, ...values, key, ROWS_PER_READ],
      );
      for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
        yield rows.slice(from, from + ROWS_PER_INSERT);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS_PER_READ) return;
      after = at.map((index) => last[index]);
    }
  }

  #statement(sql: string): string {
    this.#statements += 1;
    return statementLine(sql);
  }

  async #select<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const [rows] = await this.#connection.query(sql, [...values]);
    return rows as Row[];
  }

  async #rowArrays(sql: string, values: readonly unknown[]): Promise<unknown[][]> {
    const [rows] = await this.#connection.query({ sql, rowsAsArray: true }, [...values]);
    return rows as unknown[][];
  }
}
