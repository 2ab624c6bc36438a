// Schemas of a test's own on the shared server: migrated under a name nobody else has, reached with
// the services' own users and rights, and dropped at the end.
import { randomBytes } from "node:crypto";
import { type Connection, createConnection } from "mysql2/promise";
import {
  type DatabaseSchema,
  databaseCredentials,
  type OwnedSchema,
  schemaName,
} from "../../config/database.ts";
import type { Database } from "../../mixins/database/database.ts";
import { createDatabase, type MysqlDatabaseOptions } from "../../mixins/database/mysql-database.ts";
import type { Log } from "../../mixins/log.ts";
import { migrate, type MigrationSettings } from "../../migrations/migrate.ts";
import { testServers } from "./servers.ts";

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  fatal: () => undefined,
  child: () => silentLog,
};

/** Connections of each pool of a test. */
export const POOL_SIZE = 8;

export interface TestDatabase {
  readonly settings: MigrationSettings;
  /** A pool with the service's own user; the same one for every call without `options`. */
  database(schema: DatabaseSchema, options?: Partial<MysqlDatabaseOptions>): Database;
  /** The migrating user, for what no service may do: planting faults, looking into everything. */
  readonly admin: Connection;
  /** Name of a schema on the server. */
  nameOf(schema: OwnedSchema): string;
  /** Closes every pool and removes the schemas and users. */
  drop(): Promise<void>;
}

/** @param services those whose schemas the test needs; fewer is faster (about 60 ms each). */
export async function testDatabase(input: {
  readonly services: readonly OwnedSchema[];
  /** The shared server unless given. */
  readonly mysqlUrl?: string;
}): Promise<TestDatabase> {
  const mysqlUrl = input.mysqlUrl ?? (await testServers()).mysqlUrl;
  const settings: MigrationSettings = {
    NAMESPACE: `t${randomBytes(5).toString("hex")}`,
    MYSQL_URL: mysqlUrl,
    DATABASE_SECRET: randomBytes(32).toString("hex"),
  };
  await migrate(settings, { schemas: input.services });
  const admin = await createConnection({
    uri: mysqlUrl,
    supportBigNumbers: true,
    bigNumberStrings: true,
    timezone: "Z",
  });
  const opened: Database[] = [];
  const shared = new Map<DatabaseSchema, Database>();
  const open = (schema: DatabaseSchema, options: Partial<MysqlDatabaseOptions> = {}): Database => {
    const database = createDatabase({
      ...databaseCredentials(settings, schema),
      poolSize: POOL_SIZE,
      log: silentLog,
      ...options,
    });
    opened.push(database);
    return database;
  };
  return {
    settings,
    admin,
    nameOf: (schema) => schemaName(settings, schema),
    database(schema, options) {
      if (options !== undefined) return open(schema, options);
      const known = shared.get(schema) ?? open(schema);
      shared.set(schema, known);
      return known;
    },
    async drop() {
      await Promise.all(opened.map((database) => database.close()));
      await dropSchemas(admin, settings, input.services);
      await admin.end();
    },
  };
}

async function dropSchemas(
  admin: Connection,
  settings: MigrationSettings,
  services: readonly OwnedSchema[],
): Promise<void> {
  for (const service of services) {
    await admin.query("DROP DATABASE IF EXISTS ??", [schemaName(settings, service)]);
  }
  for (const owner of [...services, "auditor"] as const) {
    await admin.query("DROP USER IF EXISTS ?@'%'", [schemaName(settings, owner)]);
  }
}
