// Applies and undoes the migrations of one schema. DDL commits by itself, so a process killed in
// the middle of a migration leaves half of it: the statement under way is recorded, and the next
// run goes on there.
import { Sequelize } from "sequelize";
import { SequelizeStorage, Umzug } from "umzug";
import type { MigrationFile } from "./migration-files.ts";

export interface MigratorAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly schema: string;
}

/** Tables of the migrator itself; services have no right on them. */
export const MIGRATOR_TABLES: readonly string[] = ["migrations", "migration_progress"];

const PROGRESS_TABLE = `CREATE TABLE IF NOT EXISTS migration_progress (
  name VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  statement_index INT UNSIGNED NOT NULL,
  PRIMARY KEY (name)
) ENGINE=InnoDB`;

/** Table, column, key or constraint exists already; a row exists already; nothing there to drop. */
const ALREADY_DONE: ReadonlySet<number> = new Set([
  1050, 1051, 1060, 1061, 1062, 1091, 1826, 3821, 3822,
]);

const UNKNOWN_SCHEMA = 1049;

export class SchemaMigrator {
  readonly #files: readonly MigrationFile[];
  readonly #sequelize: Sequelize;
  readonly #umzug: Umzug;

  constructor(address: MigratorAddress, files: readonly MigrationFile[]) {
    this.#files = files;
    this.#sequelize = new Sequelize({
      dialect: "mysql",
      host: address.host,
      port: address.port,
      username: address.user,
      password: address.password,
      database: address.schema,
      logging: false,
      pool: { max: 1 },
      dialectOptions: { charset: "utf8mb4", connectTimeout: 5_000 },
    });
    this.#umzug = new Umzug({
      migrations: files.map((file) => ({
        name: file.name,
        up: () => this.#apply(`up ${file.name}`, file.up),
        down: () => this.#apply(`down ${file.name}`, file.down),
      })),
      storage: new SequelizeStorage({
        sequelize: this.#sequelize,
        modelName: "migrations",
        tableName: "migrations",
      }),
      logger: undefined,
    });
  }

  /** Names of the migrations that were applied. */
  async up(): Promise<string[]> {
    return (await this.#umzug.up()).map(({ name }) => name);
  }

  /** Undoes the newest migrations down to and including `to`; all of them when it is 0. */
  async down(to: string | 0): Promise<string[]> {
    return (await this.#umzug.down({ to })).map(({ name }) => name);
  }

  async pending(): Promise<string[]> {
    try {
      return (await this.#umzug.pending()).map(({ name }) => name);
    } catch (error) {
      if (errorNumber(error) !== UNKNOWN_SCHEMA) throw error;
      return this.#files.map(({ name }) => name);
    }
  }

  async executed(): Promise<string[]> {
    return (await this.#umzug.executed()).map(({ name }) => name);
  }

  async tables(): Promise<string[]> {
    const [rows] = await this.#sequelize.query("SHOW TABLES");
    return (rows as Record<string, string>[])
      .map((row) => Object.values(row)[0] ?? "")
      .filter((table) => !MIGRATOR_TABLES.includes(table));
  }

  async close(): Promise<void> {
    await this.#sequelize.close();
  }

  async #apply(name: string, statements: readonly string[]): Promise<void> {
    await this.#sequelize.query(PROGRESS_TABLE);
    const resumedAt = await this.#progress(name);
    for (const [index, statement] of statements.entries()) {
      if (index < (resumedAt ?? 0)) continue;
      await this.#record(name, index);
      try {
        await this.#sequelize.query(statement);
      } catch (error) {
        // The statement that was under way when the process died may have been done.
        if (index !== resumedAt || !isAlreadyDone(error)) throw error;
      }
    }
    await this.#sequelize.query("DELETE FROM migration_progress WHERE name = ?", {
      replacements: [name],
    });
  }

  /** Index of the statement a killed run was at; undefined when there was none. */
  async #progress(name: string): Promise<number | undefined> {
    const [rows] = await this.#sequelize.query(
      "SELECT statement_index FROM migration_progress WHERE name = ?",
      { replacements: [name] },
    );
    return (rows as { statement_index: number }[])[0]?.statement_index;
  }

  async #record(name: string, index: number): Promise<void> {
    await this.#sequelize.query("REPLACE INTO migration_progress VALUES (?, ?)", {
      replacements: [name, index],
    });
  }
}

function isAlreadyDone(error: unknown): boolean {
  return ALREADY_DONE.has(errorNumber(error));
}

function errorNumber(error: unknown): number {
  return (error as { parent?: { errno?: number } }).parent?.errno ?? 0;
}
