// `npm run schema`: writes migrations/schema.sql from a throw-away server that all migrations were run on.
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { schemaName } from "../config/database.ts";
import { migrate } from "../migrations/migrate.ts";
import { startServers } from "./launcher/servers.ts";
import { makeThrowAwayFolder, removeThrowAwayFolder } from "./launcher/throw-away-folder.ts";
import { dumpSchemas } from "./schema-dump.ts";

const SECRET_BYTES = 32;
const FILE = join(import.meta.dirname, "..", "migrations", "schema.sql");

const dataDir = makeThrowAwayFolder("flash-sale-schema-");
const servers = await startServers({ dataDir });
try {
  const settings = {
    NAMESPACE: "shop",
    MYSQL_URL: servers.mysqlUrl,
    DATABASE_SECRET: randomBytes(SECRET_BYTES).toString("hex"),
  };
  await migrate(settings);
  const connection = await createConnection({ uri: servers.mysqlUrl });
  writeFileSync(FILE, await dumpSchemas(connection, (schema) => schemaName(settings, schema)));
  await connection.end();
} finally {
  await servers.stop();
  removeThrowAwayFolder(dataDir);
}
