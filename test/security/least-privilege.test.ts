// What somebody could do who has taken a process of the platform over: what its services do, and no
// more. Each login is tried at the server it is for.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { type Connection, createConnection } from "mysql2/promise";
import { connect, JSONCodec, type NatsConnection } from "nats";
import {
  DATABASE_SCHEMAS,
  type DatabaseSchema,
  databaseCredentials,
  schemaName,
} from "../../config/database.ts";
import { loadSettings } from "../../config/load.ts";
import { ROLES } from "../../config/roles.ts";
import type { Settings } from "../../config/schema.ts";
import { dataFolderAt } from "../../scripts/launcher/data-folder.ts";
import { openSecrets } from "../../scripts/launcher/secrets.ts";
import { urlAs } from "../../scripts/launcher/server-users.ts";
import { serverCredentials } from "../../scripts/launcher/start-settings.ts";
import { openShop, type Shop } from "../support/shop.ts";

const API_TIMEOUT_MS = 1_000;
/** Tables that only grow; nobody rewrites what happened. */
const LEDGERS: readonly (readonly [DatabaseSchema, string])[] = [
  ["inventory", "stock_movements"],
  ["order", "order_events"],
  ["payment", "ledger_entries"],
];

type Role = keyof typeof ROLES;

describe("a process of the platform that was taken over", function () {
  this.timeout(180_000);
  let shop: Shop;
  let settings: Settings;

  before(async () => {
    shop = await openShop();
    settings = loadSettings({}, shop.environment);
  });

  function urlOf(kind: "redis" | "nats", role: Role): string {
    const secrets = openSecrets(dataFolderAt(settings.DATA_DIR), {});
    const url = kind === "redis" ? settings.REDIS_URL : settings.NATS_URL;
    return urlAs(kind, url, role, serverCredentials(secrets));
  }

  describe("NET1 at Redis", () => {
    const open: Redis[] = [];
    const as = (role: Role): Redis => {
      const client = new Redis(urlOf("redis", role), { maxRetriesPerRequest: 1 });
      open.push(client);
      return client;
    };
    after(() => open.forEach((client) => client.disconnect()));

    const key = (owner: string): string => `${settings.NAMESPACE}:${owner}:least-privilege`;

    for (const role of Object.keys(ROLES) as Role[]) {
      it(`as ${role} neither empties, lists, stops nor reconfigures it`, async () => {
        const redis = as(role);
        for (const [name, ...args] of [
          ["FLUSHALL"],
          ["FLUSHDB"],
          ["KEYS", "*"],
          ["CONFIG", "SET", "requirepass", ""],
          ["SHUTDOWN", "NOSAVE"],
          ["ACL", "SETUSER", "mallory", "on", "nopass", "+@all"],
          ["SCRIPT", "FLUSH"],
          ["REPLICAOF", "127.0.0.1", "1"],
          ["MODULE", "LIST"],
          ["MONITOR"],
        ] as const) {
          await assert.rejects(redis.call(name, ...args), /NOPERM/, `${role} may ${name}`);
        }
      });
    }

    it("reaches the keys of its own services only, also from a script", async () => {
      const write = "return redis.call('SET', KEYS[1], '1', 'PX', 1000)";
      for (const [role, own, others] of [
        ["edge", ["gateway", "seckill", "product", "inventory"], ["order"]],
        ["core", ["product", "inventory"], ["gateway", "seckill"]],
        ["worker", ["product", "inventory", "seckill"], ["gateway"]],
      ] as const) {
        const redis = as(role);
        for (const owner of own) assert.equal(await redis.eval(write, 1, key(owner)), "OK");
        for (const owner of others) {
          await assert.rejects(redis.get(key(owner)), /NOPERM/, `${role} reads keys of ${owner}`);
          await assert.rejects(redis.eval(write, 1, key(owner)), /No permissions|NOPERM/i);
        }
      }
    });
  });

  describe("NET1 at the message server", () => {
    const codec = JSONCodec<object>();
    const open: NatsConnection[] = [];
    const as = async (role: Role | "platform"): Promise<NatsConnection> => {
      const url = new URL(role === "platform" ? settings.NATS_URL : urlOf("nats", role));
      const connection = await connect({
        servers: url.host,
        user: url.username,
        pass: url.password,
        reconnect: false,
      });
      open.push(connection);
      return connection;
    };
    after(() => Promise.all(open.map((connection) => connection.close())));

    const messagesOf = async (stream: string): Promise<number> => {
      const manager = await (await as("platform")).jetstreamManager();
      return (await manager.streams.info(stream)).state.last_seq;
    };
    /** Asks and gets nowhere: no permission to ask, or none to hear an answer. */
    const isRefused = async (role: Role, subject: string, payload: object): Promise<void> => {
      const connection = await as(role);
      const asked = connection.request(subject, codec.encode(payload), {
        timeout: API_TIMEOUT_MS,
      });
      await assert.rejects(asked, /permissions violation|timeout|503/i, `${role} may ${subject}`);
    };

    it("makes up no event of another service", async () => {
      const { NAMESPACE: namespace } = settings;
      const before = await messagesOf(`${namespace}_payment`);
      for (const role of ["edge", "core"] as const) {
        const subject = `${namespace}.events.payment.succeeded.v1`;
        await isRefused(role, subject, { payment_id: "1" });
      }
      assert.equal(await messagesOf(`${namespace}_payment`), before);
    });

    it("deletes, empties and reads no stream past its consumers", async () => {
      const stream = `${settings.NAMESPACE}_order`;
      for (const role of Object.keys(ROLES) as Role[]) {
        for (const request of ["STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.GET"]) {
          await isRefused(role, `$JS.API.${request}.${stream}`, { seq: 1 });
        }
        await isRefused(role, `$JS.API.CONSUMER.DELETE.${stream}.any`, {});
        await isRefused(role, "$JS.API.STREAM.LIST", {});
      }
      assert.ok((await messagesOf(stream)) >= 0);
    });

    it("listens to nobody's answers and to no other platform", async () => {
      for (const role of ["edge", "core"] as const) {
        for (const subject of [">", "_INBOX.>", "MOL-other.>", `${settings.NAMESPACE}.events.>`]) {
          const connection = await as(role);
          const heard = connection.subscribe(subject, { max: 1 });
          await assert.rejects(first(heard), /permissions violation/i, `${role} hears ${subject}`);
        }
      }
    });

    it("refuses who brings no login", async () => {
      const { host } = new URL(settings.NATS_URL);
      await assert.rejects(connect({ servers: host, reconnect: false }), /authorization/i);
    });
  });

  describe("NET1 at the database", () => {
    const open: Connection[] = [];
    const as = async (owner: DatabaseSchema): Promise<Connection> => {
      const { host, port, user, password, schema } = databaseCredentials(settings, owner);
      const connection = await createConnection({ host, port, user, password, database: schema });
      open.push(connection);
      return connection;
    };
    after(() => Promise.all(open.map((connection) => connection.end())));

    const isDenied = (connection: Connection, sql: string): Promise<void> =>
      assert.rejects(connection.query(sql), /denied/i, sql);

    for (const owner of DATABASE_SCHEMAS) {
      it(`as ${owner} sees no other service's schema and changes no table`, async () => {
        const connection = await as(owner);
        for (const other of DATABASE_SCHEMAS.filter((one) => one !== owner)) {
          await isDenied(connection, `SELECT 1 FROM ${schemaName(settings, other)}.outbox LIMIT 1`);
        }
        await isDenied(connection, "CREATE TABLE planted (id INT)");
        await isDenied(connection, "DROP TABLE outbox");
        await isDenied(connection, "ALTER TABLE outbox ADD COLUMN planted INT");
        await isDenied(connection, "CREATE USER 'mallory'@'%' IDENTIFIED BY 'x'");
        await isDenied(connection, "SELECT * FROM mysql.user");
        await isDenied(connection, "SET GLOBAL max_connections = 1");
        await isDenied(connection, "SELECT 1 INTO OUTFILE '/tmp/planted'");
      });
    }

    for (const [owner, table] of LEDGERS) {
      it(`as ${owner} rewrites nothing in ${table}`, async () => {
        const connection = await as(owner);
        await isDenied(connection, `UPDATE ${table} SET id = 1 WHERE 1 = 0`);
        await isDenied(connection, `DELETE FROM ${table} WHERE 1 = 0`);
        await isDenied(connection, `TRUNCATE TABLE ${table}`);
      });
    }

    it("as the auditor writes nowhere", async () => {
      const connection = await as("auditor");
      for (const owner of DATABASE_SCHEMAS) {
        const name = schemaName(settings, owner);
        const [tables] = await connection.query(
          "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ?",
          [name],
        );
        const [table] = tables as { name: string }[];
        assert.ok(table !== undefined, `the auditor sees no table of ${owner}`);
        await isDenied(connection, `DELETE FROM ${name}.${table.name} WHERE 1 = 0`);
      }
    });
  });

  describe("in its own work", () => {
    it("OPS1 finds no login of an administrator in its environment", () => {
      for (const { name, pid, services } of shop.platform.state.processes) {
        if (services === undefined) continue;
        const environment = readFileSync(`/proc/${String(pid)}/environ`, "utf8").split("\0");
        const urls = environment.filter((one) => /^(MYSQL|REDIS|NATS)_URL=/.test(one));
        assert.equal(urls.length, 3, name);
        for (const url of urls) assert.doesNotMatch(url, /\/\/(platform)?:[^@]+@|platform/, name);
      }
    });

    it("was refused nothing that it needs", () => {
      for (const { log_file: file, services } of shop.platform.state.processes) {
        if (services === undefined) continue;
        const refused = /NOPERM|no permissions|permissions violation|denied/i;
        assert.doesNotMatch(readFileSync(file, "utf8"), refused, file);
      }
    });
  });
});

async function first(messages: AsyncIterable<unknown>): Promise<void> {
  await messages[Symbol.asyncIterator]().next();
}
