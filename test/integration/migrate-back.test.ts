// Every migration taken back and done again, one by one: taken back, the tables are those of the release
// before; done again, those of this one; and rows that the release before knows are still there.
import assert from "node:assert/strict";
import { databaseCredentials, type OwnedSchema } from "../../config/database.ts";
import { loadMigrations } from "../../migrations/migration-files.ts";
import { migrate, migrateDown } from "../../migrations/migrate.ts";
import { SchemaMigrator } from "../../migrations/schema-migrator.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const MESSAGES: Readonly<Record<string, string>> = {
  outbox: "(name, aggregate_id, aggregate_version, payload) VALUES ('order.paid.v1', 1, 1, '{}')",
  inbox: "(consumer, event_id) VALUES ('order', 'order.1')",
  sagas: "(id, type, status, log, context) VALUES (1, 'place-order', 'done', '[]', '{}')",
};

/** A row of each table that was there before the schema's later migrations, as it is inserted. */
const ROWS: Readonly<Record<OwnedSchema, Readonly<Record<string, string>>>> = {
  user: MESSAGES,
  product: MESSAGES,
  payment: MESSAGES,
  seckill: MESSAGES,
  inventory: { ...MESSAGES, stock: "VALUES (1, 5, 0, 0, 0, 1)" },
  order: {
    ...MESSAGES,
    orders: `(id, user_id, status, version, total_price, discount, refunded_amount, currency)
      VALUES (1, 1, 'placing', 1, 100, 0, 0, 'CNY')`,
  },
  operations: {
    rules: `(kind, target, user_id, is_on, reason, source, changed_at, seq)
      VALUES ('blocked', '', '7', 1, 'x', 'admin', NOW(3), 1)`,
    rule_changes: `(seq, kind, target, user_id, is_on, reason, source, changed_at)
      VALUES (1, 'blocked', '', '7', 1, 'x', 'admin', NOW(3))`,
  },
  provider: {
    charges: `(payment_id, amount, currency, status, provider_ref)
      VALUES (1, 100, 'CNY', 'open', 'mock_ch_1')`,
    deliveries: "(webhook_id, payment_id, body) VALUES ('evt_1', 1, '{}')",
  },
};

describe("a migration taken back", function () {
  this.timeout(180_000);

  for (const [schema, rows] of Object.entries(ROWS) as [OwnedSchema, Record<string, string>][]) {
    it(`and done again leaves the tables of ${schema} and what older ones hold`, async () => {
      const bench = await testDatabase({ services: [schema] });
      try {
        await stepBackAndForth(bench, schema, rows);
      } finally {
        await bench.drop();
      }
    });
  }

  it("takes away the API clients that the older release does not know, and no switch", async () => {
    const bench = await testDatabase({ services: ["operations"] });
    const { admin, settings } = bench;
    const table = `${bench.nameOf("operations")}.rules`;
    const insert = (kind: string, seq: number) =>
      admin.query(
        `INSERT INTO ${table} (kind, target, user_id, is_on, reason, source, changed_at, seq)
         VALUES (?, 'x', '', 1, 'x', 'admin', NOW(3), ?)`,
        [kind, seq],
      );
    try {
      await insert("pause_sale", 1);
      await insert("api_client", 2);
      await migrateDown(settings, "operations/0002-api-clients", { schemas: ["operations"] });
      const [left] = await admin.query(`SELECT kind FROM ${table}`);
      assert.deepEqual(left, [{ kind: "pause_sale" }]);
      await assert.rejects(insert("api_client", 3), /rules_kind_known/);
    } finally {
      await bench.drop();
    }
  });
});

/** Takes back the last migration, then the last two, and so on, and goes forward after each. */
async function stepBackAndForth(
  bench: TestDatabase,
  schema: OwnedSchema,
  rows: Readonly<Record<string, string>>,
): Promise<void> {
  const { settings } = bench;
  const only = { schemas: [schema] };
  const names = (await loadMigrations(schema)).map(({ name }) => name).filter(isSteppedIn(schema));
  const releases = await tablesOfReleases(bench, schema);
  const whole = await tablesOf(bench, schema);
  for (const name of names.toReversed()) {
    const before = await fill(bench, schema, rows);
    const { changed } = await migrateDown(settings, name, only);
    assert.equal(changed[schema]?.at(-1), name);
    const older = await tablesOf(bench, schema);
    assert.deepEqual(older, releases.get(name), `${name} taken back`);
    const kept = [...older.keys()];
    for (const table of Object.keys(rows).filter((one) => kept.includes(one))) {
      assert.ok((await countOf(bench, schema, table)) > 0, `${name} took the rows of ${table}`);
    }
    await migrate(settings, only);
    assert.deepEqual(await tablesOf(bench, schema), whole, name);
    const after = kept.filter((table) => table in rows);
    for (const table of after) {
      assert.equal(await countOf(bench, schema, table), before.get(table), `${name}: ${table}`);
    }
  }
}

/** What all schemas share is stepped through in one of them. */
function isSteppedIn(schema: OwnedSchema): (name: string) => boolean {
  return (name) => schema === "order" || name.startsWith(`${schema}/`);
}

/** Puts a row into each table that has none; answers how many each has. */
async function fill(
  bench: TestDatabase,
  schema: OwnedSchema,
  rows: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const [table, values] of Object.entries(rows)) {
    if ((await countOf(bench, schema, table)) === 0) {
      await bench.admin.query(`INSERT INTO ${bench.nameOf(schema)}.${table} ${values}`);
    }
    counts.set(table, await countOf(bench, schema, table));
  }
  return counts;
}

async function countOf(bench: TestDatabase, schema: OwnedSchema, table: string): Promise<number> {
  const [found] = await bench.admin.query(
    `SELECT COUNT(*) AS count FROM ${bench.nameOf(schema)}.${table}`,
  );
  return Number((found as { count: string }[])[0]?.count);
}

/** The tables before each migration, as a platform has them that never went further. */
async function tablesOfReleases(
  bench: TestDatabase,
  schema: OwnedSchema,
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const { username, password } = new URL(bench.settings.MYSQL_URL);
  const { host, port } = databaseCredentials(bench.settings, schema);
  const name = `${bench.nameOf(schema)}_older`;
  const address = {
    host,
    port,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    schema: name,
  };
  const files = await loadMigrations(schema);
  const releases = new Map<string, ReadonlyMap<string, string>>();
  await bench.admin.query("CREATE DATABASE ??", [name]);
  try {
    for (const [count, file] of files.entries()) {
      if (!isSteppedIn(schema)(file.name)) continue;
      const migrator = new SchemaMigrator(address, files.slice(0, count));
      await migrator.up();
      await migrator.close();
      releases.set(file.name, await tablesOf(bench, schema, name));
    }
  } finally {
    await bench.admin.query("DROP DATABASE ??", [name]);
  }
  return releases;
}

/** The DDL of every table by its name, without where its counter stands and in which order its keys do. */
async function tablesOf(
  bench: TestDatabase,
  schema: OwnedSchema,
  name = bench.nameOf(schema),
): Promise<ReadonlyMap<string, string>> {
  const { admin } = bench;
  const [found] = await admin.query(
    "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = ? AND table_name NOT LIKE 'migration%' ORDER BY 1",
    [name],
  );
  const tables = new Map<string, string>();
  for (const { t } of found as { t: string }[]) {
    const [made] = await admin.query("SHOW CREATE TABLE ??.??", [name, t]);
    const ddl = (made as { "Create Table": string }[])[0]?.["Create Table"] ?? "";
    const lines = ddl.replace(/ AUTO_INCREMENT=\d+/, "").split("\n");
    tables.set(
      t,
      lines
        .map((line) => line.replace(/,$/, ""))
        .sort()
        .join("\n"),
    );
  }
  return tables;
}
