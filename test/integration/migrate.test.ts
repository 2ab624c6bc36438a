import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Connection, createConnection } from "mysql2/promise";
import { DATABASE_SCHEMAS, databaseCredentials, schemaName } from "../../config/database.ts";
import {
  migrate,
  migrateDown,
  type MigrationSettings,
  pendingMigrations,
} from "../../migrations/migrate.ts";
import { MissingRightsError } from "../../migrations/schema-rights.ts";
import { dumpSchemas } from "../../scripts/schema-dump.ts";
import { testServers } from "../support/servers.ts";
import { ROOT } from "../support/source.ts";

describe("migrations", () => {
  let admin: Connection;
  let settings: MigrationSettings;

  before(async function () {
    this.timeout(60_000);
    const { mysqlUrl } = await testServers();
    admin = await createConnection({ uri: mysqlUrl });
  });

  beforeEach(async () => {
    settings = {
      NAMESPACE: `t${randomBytes(5).toString("hex")}`,
      MYSQL_URL: (await testServers()).mysqlUrl,
      DATABASE_SECRET: randomBytes(32).toString("hex"),
    };
  });

  afterEach(async () => {
    for (const schema of DATABASE_SCHEMAS) {
      await admin.query("DROP DATABASE IF EXISTS ??", [schemaName(settings, schema)]);
    }
    for (const owner of [...DATABASE_SCHEMAS, "auditor", "poor"] as const) {
      await admin.query("DROP USER IF EXISTS ?@'%'", [`${settings.NAMESPACE}_${owner}`]);
    }
  });

  after(async () => admin.end());

  /** The DDL of every table, which is what "the same schema" means. */
  async function dump(): Promise<string[]> {
    const [rows] = await admin.query(
      "SELECT table_schema AS s, table_name AS t FROM information_schema.tables " +
        "WHERE table_schema LIKE ? AND table_name NOT LIKE 'migration%' ORDER BY 1, 2",
      [`${settings.NAMESPACE}\\_%`],
    );
    const ddl: string[] = [];
    for (const { s, t } of rows as { s: string; t: string }[]) {
      const [created] = await admin.query("SHOW CREATE TABLE ??.??", [s, t]);
      ddl.push((created as { "Create Table": string }[])[0]!["Create Table"]);
    }
    return ddl;
  }

  it("go forward, back and forward again to the same tables", async () => {
    assert.ok((await pendingMigrations(settings)).order!.includes("order/0001-orders"));
    await migrate(settings);
    const first = await dump();
    assert.ok(first.length >= 25, `only ${first.length} tables`);
    await migrateDown(settings, 0);
    assert.deepEqual(await dump(), []);
    await migrate(settings);
    assert.deepEqual(await dump(), first);
  });

  it("make the tables of migrations/schema.sql", async function () {
    const [version] = await admin.query("SELECT VERSION() AS version");
    // Each server writes a table its own way; the file is MariaDB's.
    if (!(version as { version: string }[])[0]!.version.includes("MariaDB")) this.skip();
    await migrate(settings);
    const dumped = await dumpSchemas(admin, (schema) => schemaName(settings, schema));
    const kept = readFileSync(join(ROOT, "migrations/schema.sql"), "utf8");
    assert.equal(dumped, kept, "run `npm run schema`");
  });

  it("are done by one of two nodes that start together, and by none a second time", async () => {
    const reports = await Promise.all([migrate(settings), migrate(settings)]);
    const counts = reports.map(({ changed }) => changed.order?.length ?? 0).sort();
    assert.equal(counts[0], 0);
    assert.ok(counts[1]! > 0);
    assert.deepEqual(Object.values(await pendingMigrations(settings)).flat(), []);
  });

  it("go on where a killed run stopped", async () => {
    await migrate(settings, { schemas: ["order"] });
    const name = schemaName(settings, "order");
    const before = await dump();
    // What a process leaves that died after the third CREATE TABLE and before its record.
    await admin.query("DELETE FROM ??.migrations WHERE name = 'shared/0001-messages'", [name]);
    await admin.query("INSERT INTO ??.migration_progress VALUES ('up shared/0001-messages', 2)", [
      name,
    ]);
    await admin.query("DROP TABLE ??.idempotency_keys, ??.leases", [name, name]);
    await migrate(settings, { schemas: ["order"] });
    assert.deepEqual(await dump(), before);
    const [left] = await admin.query("SELECT * FROM ??.migration_progress", [name]);
    assert.deepEqual(left, []);
  });

  it("undo down to a named migration", async () => {
    await migrate(settings, { schemas: ["order"] });
    const { changed } = await migrateDown(settings, "shared/0002-sagas", { schemas: ["order"] });
    assert.equal(changed.order?.at(-1), "shared/0002-sagas");
    const { changed: again } = await migrate(settings, { schemas: ["order"] });
    assert.deepEqual([...again.order!].sort(), [...changed.order].sort());
  });

  it("give a service its own rows and nothing else", async () => {
    await migrate(settings, { schemas: ["order", "inventory"] });
    const { host, port, user, password, schema } = databaseCredentials(settings, "order");
    const service = await createConnection({ host, port, user, password, database: schema });
    try {
      await service.query("INSERT INTO inbox (consumer, event_id) VALUES ('a', 'b')");
      await service.query("DELETE FROM inbox");
      await assert.rejects(service.query("CREATE TABLE x (id INT)"), { errno: 1142 });
      await assert.rejects(service.query("DROP TABLE inbox"), { errno: 1142 });
      await assert.rejects(service.query("SELECT * FROM migrations"), { errno: 1142 });
      await assert.rejects(
        service.query("SELECT * FROM ??.outbox", [schemaName(settings, "inventory")]),
        { errno: 1142 },
      );
    } finally {
      await service.end();
    }
  });

  it("let a ledger be added to and read, and never rewritten", async () => {
    await migrate(settings, { schemas: ["inventory"] });
    const { host, port, user, password, schema } = databaseCredentials(settings, "inventory");
    const service = await createConnection({ host, port, user, password, database: schema });
    try {
      await service.query("SELECT * FROM stock_movements");
      await assert.rejects(service.query("DELETE FROM stock_movements"), { errno: 1142 });
      await assert.rejects(service.query("UPDATE stock_movements SET sku_id = 1"), { errno: 1142 });
    } finally {
      await service.end();
    }
  });

  it("let the auditor read every schema and write none", async () => {
    await migrate(settings, { schemas: ["order", "payment"] });
    const { host, port, user, password } = databaseCredentials(settings, "auditor");
    const auditor = await createConnection({ host, port, user, password });
    try {
      for (const schema of ["order", "payment"] as const) {
        const name = schemaName(settings, schema);
        await auditor.query("SELECT * FROM ??.outbox", [name]);
        await assert.rejects(auditor.query("DELETE FROM ??.outbox", [name]), { errno: 1142 });
      }
    } finally {
      await auditor.end();
    }
  });

  it("tell what a DBA has to run when the user may not, and go on once it has been run", async () => {
    const poor = `${settings.NAMESPACE}_poor`;
    await admin.query("CREATE USER ?@'%' IDENTIFIED BY 'poorpoorpoor'", [poor]);
    const url = new URL(settings.MYSQL_URL);
    url.username = poor;
    url.password = "poorpoorpoor";
    const asPoor = { ...settings, MYSQL_URL: url.href };
    const refusal: unknown = await migrate(asPoor).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(refusal instanceof MissingRightsError);
    assert.deepEqual(await dump(), []);
    for (const statement of refusal.sqlForDba.split("\n")) await admin.query(statement);
    const { changed } = await migrate(asPoor);
    assert.ok(changed.order!.includes("shared/0001-messages"));
  });
});
