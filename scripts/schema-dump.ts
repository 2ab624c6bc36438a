// The tables of all services as the server describes them, in one text: what a migrated platform has.
import type { Connection } from "mysql2/promise";
import { DATABASE_SCHEMAS, type OwnedSchema } from "../config/database.ts";
import { MIGRATOR_TABLES } from "../migrations/schema-migrator.ts";

const HEAD = [
  "-- Every table of every schema after all migrations, as MariaDB describes them. For reading and for",
  "-- reviews: `node migrations/migrate.ts` makes them, `npm run schema` writes this file.",
].join("\n");

/** @param nameOf a schema's name on this server. */
export async function dumpSchemas(
  connection: Connection,
  nameOf: (schema: OwnedSchema) => string,
): Promise<string> {
  const parts: string[] = [HEAD];
  for (const schema of DATABASE_SCHEMAS) {
    parts.push(`-- Schema ${schema}`);
    const [rows] = await connection.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1",
      [nameOf(schema)],
    );
    for (const { name } of rows as { name: string }[]) {
      if (MIGRATOR_TABLES.includes(name)) continue;
      const [created] = await connection.query("SHOW CREATE TABLE ??.??", [nameOf(schema), name]);
      const ddl = (created as { "Create Table": string }[])[0]?.["Create Table"] ?? "";
      parts.push(`${ddl.replace(/ AUTO_INCREMENT=\d+/, "")};`);
    }
  }
  return `${parts.join("\n\n")}\n`;
}
