// Brings the schemas of all services to the newest version, under a named lock so that nodes which
// start together do not meet. As a command: `node migrations/migrate.ts [status | down <name>]`.
import { type Connection, createConnection } from "mysql2/promise";
import {
  DATABASE_SCHEMAS,
  databaseCredentials,
  type OwnedSchema,
  schemaName,
} from "../config/database.ts";
import { loadSettings, SettingsError } from "../config/load.ts";
import { loadMigrations, type MigrationFile } from "./migration-files.ts";
import { SchemaMigrator } from "./schema-migrator.ts";
import {
  createSchemas,
  createUsers,
  grantAuditor,
  grantTables,
  isAccessDenied,
  type MigrationSettings,
  MissingRightsError,
  sqlForDba,
} from "./schema-rights.ts";

export type { MigrationSettings } from "./schema-rights.ts";

export interface MigrateOptions {
  /** All of them unless named. */
  readonly schemas?: readonly OwnedSchema[];
}

export interface MigrationReport {
  /** Names of the migrations that were run, per schema. */
  readonly changed: Readonly<Partial<Record<OwnedSchema, readonly string[]>>>;
  readonly ms: number;
}

const LOCK_TIMEOUT_S = 60;
const CONNECT_TIMEOUT_MS = 5_000;

/** Errors: MissingRightsError with the SQL a DBA has to run first. */
export async function migrate(
  settings: MigrationSettings,
  options: MigrateOptions = {},
): Promise<MigrationReport> {
  const schemas = options.schemas ?? DATABASE_SCHEMAS;
  return await underLock(settings, async (admin) => {
    await provision(admin, settings, schemas);
    await grantAuditor(admin, settings, schemas);
    return await eachSchema(settings, schemas, async (migrator, schema, files) => {
      const changed = await migrator.up();
      const tables = await migrator.tables();
      await grantTables(admin, settings, { schema, tables, files });
      return changed;
    });
  });
}

/** Undoes migrations, newest first, down to and including `to`; all when it is 0. */
export async function migrateDown(
  settings: MigrationSettings,
  to: string | 0,
  options: MigrateOptions = {},
): Promise<MigrationReport> {
  const schemas = options.schemas ?? DATABASE_SCHEMAS;
  return await underLock(settings, () =>
    eachSchema(settings, schemas, async (migrator) => {
      const isKnown = to === 0 || (await migrator.executed()).includes(to);
      return isKnown ? await migrator.down(to) : [];
    }),
  );
}

/** Names of the migrations that have not been run, per schema. */
export async function pendingMigrations(
  settings: MigrationSettings,
): Promise<MigrationReport["changed"]> {
  const { changed } = await eachSchema(settings, DATABASE_SCHEMAS, (migrator) =>
    migrator.pending(),
  );
  return changed;
}

async function underLock<T>(
  settings: MigrationSettings,
  work: (admin: Connection) => Promise<T>,
): Promise<T> {
  const admin = await createConnection({
    uri: settings.MYSQL_URL.replace(/\/[^/@]*$/, "/"),
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  try {
    const lock = `${settings.NAMESPACE}_migrate`;
    const [rows] = await admin.query("SELECT GET_LOCK(?, ?) AS is_mine", [lock, LOCK_TIMEOUT_S]);
    if ((rows as { is_mine: number }[])[0]?.is_mine !== 1) {
      throw new Error(`another migration has been running for more than ${LOCK_TIMEOUT_S} s`);
    }
    return await work(admin);
  } finally {
    // The lock ends with its connection, also when this process is killed.
    await admin.end().catch(() => admin.destroy());
  }
}

async function provision(
  admin: Connection,
  settings: MigrationSettings,
  schemas: readonly OwnedSchema[],
): Promise<void> {
  try {
    await createSchemas(admin, settings, schemas);
    await createUsers(admin, settings, [...schemas, "auditor"]);
  } catch (error) {
    if (!isAccessDenied(error)) throw error;
    if (await hasBeenProvisioned(settings, schemas)) return;
    const [rows] = await admin.query("SELECT CURRENT_USER() AS me");
    throw new MissingRightsError(sqlForDba(settings, (rows as { me: string }[])[0]?.me ?? ""));
  }
}

/** Whether a DBA has made schemas and users: each service can log in with its own password. */
async function hasBeenProvisioned(
  settings: MigrationSettings,
  schemas: readonly OwnedSchema[],
): Promise<boolean> {
  try {
    for (const owner of [...schemas, "auditor"] as const) {
      const { host, port, user, password } = databaseCredentials(settings, owner);
      const connection = await createConnection({ host, port, user, password });
      await connection.end();
    }
    return true;
  } catch {
    return false;
  }
}

async function eachSchema(
  settings: MigrationSettings,
  schemas: readonly OwnedSchema[],
  work: (
    migrator: SchemaMigrator,
    schema: OwnedSchema,
    files: readonly MigrationFile[],
  ) => Promise<string[]>,
): Promise<MigrationReport> {
  const startedAt = performance.now();
  const changed: Partial<Record<OwnedSchema, readonly string[]>> = {};
  const { username, password } = new URL(settings.MYSQL_URL);
  const outcomes = await Promise.allSettled(
    schemas.map(async (schema) => {
      const files = await loadMigrations(schema);
      const { host, port } = databaseCredentials(settings, schema);
      const migrator = new SchemaMigrator(
        {
          host,
          port,
          user: decodeURIComponent(username),
          password: decodeURIComponent(password),
          schema: schemaName(settings, schema),
        },
        files,
      );
      try {
        changed[schema] = await work(migrator, schema, files);
      } finally {
        await migrator.close();
      }
    }),
  );
  // All have ended, so nothing works on behind the error that is thrown.
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return { changed, ms: Math.round(performance.now() - startedAt) };
}

const EXIT_FAILED = 1;
const EXIT_MISSING_RIGHTS = 3;

async function main([command = "up", target]: readonly string[]): Promise<void> {
  const settings = loadSettings();
  if (command === "status") {
    printChanged(await pendingMigrations(settings), "pending");
  } else if (command === "down" && target !== undefined) {
    printChanged((await migrateDown(settings, target === "all" ? 0 : target)).changed, "undone");
  } else if (command === "up") {
    const report = await migrate(settings);
    printChanged(report.changed, "applied");
    print(`schemas are up to date (${report.ms} ms)`);
  } else {
    print("usage: node migrations/migrate.ts [up | status | down <migration> | down all]");
    process.exitCode = EXIT_FAILED;
  }
}

function printChanged(changed: MigrationReport["changed"], verb: string): void {
  for (const [schema, names] of Object.entries(changed)) {
    for (const name of names) print(`${verb} ${schema}: ${name}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function explain(error: unknown): void {
  process.exitCode = EXIT_FAILED;
  if (error instanceof MissingRightsError) {
    process.exitCode = EXIT_MISSING_RIGHTS;
    print(`${error.message} Let a database administrator run this, then start again:\n`);
    print(error.sqlForDba);
  } else if (error instanceof SettingsError) {
    print(error.message);
  } else {
    print(`Migration failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

if (import.meta.main) await main(process.argv.slice(2)).catch(explain);
