// Schemas, one user per service and the least rights each needs. Only the migrating user may
// change tables; a service may read and write rows of its own tables, and of a ledger only add.
import type { Connection } from "mysql2/promise";
import {
  DATABASE_SCHEMAS,
  type DatabaseSchema,
  databaseCredentials,
  type OwnedSchema,
  schemaName,
} from "../config/database.ts";
import type { Settings } from "../config/schema.ts";
import type { MigrationFile, TableRight } from "./migration-files.ts";

export type MigrationSettings = Pick<Settings, "NAMESPACE" | "MYSQL_URL" | "DATABASE_SECRET">;

/** The migrating user lacks rights; `sqlForDba` is what somebody with more of them has to run. */
export class MissingRightsError extends Error {
  readonly sqlForDba: string;

  constructor(sqlForDba: string) {
    super("The user of MYSQL_URL may not create schemas and users.");
    this.name = "MissingRightsError";
    this.sqlForDba = sqlForDba;
  }
}

const ACCESS_DENIED: ReadonlySet<number> = new Set([1044, 1045, 1142, 1227, 1410]);
const ALL_ROW_RIGHTS: readonly TableRight[] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
const CHARACTER_SET = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci";

export function isAccessDenied(error: unknown): boolean {
  const { errno, parent } = error as { errno?: number; parent?: { errno?: number } };
  return ACCESS_DENIED.has(errno ?? parent?.errno ?? 0);
}

export async function createSchemas(
  admin: Connection,
  settings: MigrationSettings,
  schemas: readonly OwnedSchema[],
): Promise<void> {
  for (const schema of schemas) await admin.query(createSchema(settings, schema));
}

/** Creates the services' users, or gives those that exist the password of the present secret. */
export async function createUsers(
  admin: Connection,
  settings: MigrationSettings,
  owners: readonly DatabaseSchema[],
): Promise<void> {
  for (const owner of owners) {
    const { user, password } = databaseCredentials(settings, owner);
    await admin.query("CREATE USER IF NOT EXISTS ?@'%' IDENTIFIED BY ?", [user, password]);
    await admin.query("ALTER USER ?@'%' IDENTIFIED BY ?", [user, password]);
  }
}

export interface TableRights {
  readonly schema: OwnedSchema;
  readonly tables: readonly string[];
  readonly files: readonly MigrationFile[];
}

/** Grants rights table by table: a right on the whole schema could not be taken from a ledger. */
export async function grantTables(
  admin: Connection,
  settings: MigrationSettings,
  { schema, tables, files }: TableRights,
): Promise<void> {
  const special = Object.assign({}, ...files.map((file) => file.grants)) as Partial<
    Record<string, readonly TableRight[]>
  >;
  const missing = Object.keys(special).filter((table) => !tables.includes(table));
  if (missing.length > 0) {
    throw new Error(
      `migrations of ${schema} grant rights on unknown tables: ${missing.join(", ")}`,
    );
  }
  const name = schemaName(settings, schema);
  for (const table of tables) {
    const rights = (special[table] ?? ALL_ROW_RIGHTS).join(", ");
    await admin.query(`GRANT ${rights} ON ??.?? TO ?@'%'`, [name, table, name]);
  }
}

/** The auditor reads every schema and writes none. */
export async function grantAuditor(
  admin: Connection,
  settings: MigrationSettings,
  schemas: readonly OwnedSchema[],
): Promise<void> {
  for (const schema of schemas) await admin.query(auditorGrant(settings, schema));
}

/** Everything `createSchemas` and `createUsers` would have done, and the rights to do the rest. */
export function sqlForDba(settings: MigrationSettings, migratingUser: string): string {
  const users = [...DATABASE_SCHEMAS, "auditor"] as const;
  const [name = "", host = "%"] = migratingUser.split("@");
  return [
    ...DATABASE_SCHEMAS.map((schema) => createSchema(settings, schema)),
    ...users.map((owner) => {
      const { user, password } = databaseCredentials(settings, owner);
      return `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}'`;
    }),
    ...DATABASE_SCHEMAS.map(
      (schema) =>
        `GRANT ALL PRIVILEGES ON \`${escapeWildcards(schemaName(settings, schema))}\`.* ` +
        `TO '${name}'@'${host}' WITH GRANT OPTION`,
    ),
  ]
    .map((statement) => `${statement};`)
    .join("\n");
}

function createSchema(settings: MigrationSettings, schema: OwnedSchema): string {
  return `CREATE DATABASE IF NOT EXISTS \`${schemaName(settings, schema)}\` ${CHARACTER_SET}`;
}

function auditorGrant(settings: MigrationSettings, schema: OwnedSchema): string {
  const name = escapeWildcards(schemaName(settings, schema));
  return `GRANT SELECT ON \`${name}\`.* TO '${schemaName(settings, "auditor")}'@'%'`;
}

/** In a grant on a whole schema an underscore would stand for any character. */
function escapeWildcards(name: string): string {
  return name.replaceAll("_", "\\_");
}
