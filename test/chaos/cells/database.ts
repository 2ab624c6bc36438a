// D1-D6: the database is killed, frozen, locked, full, read-only, or badly reached. Without it nothing is sold and
// nothing is promised; what was promised is there when it is back.
import { createConnection } from "mysql2/promise";
import { type Cell, type Scene, unless } from "../cell.ts";
import { whyNoDisks } from "../machine.ts";
import { fillDisk } from "../rig.ts";
import type { Seen } from "../witness.ts";

const SHORT_MS = 4_000;
const DISK_MB = 700;
const LOCKERS = 3;

const told = (_: Scene, { statuses }: Seen): readonly string[] =>
  unless((statuses["503"] ?? 0) > 0, "nobody was told 503");

/** Takes row locks in the order opposite to the platform's, again and again. */
async function lockBackwards(scene: Scene, ms: number): Promise<void> {
  const { rig, goods } = scene;
  const skus = [goods.scarceSku, ...goods.plentySkus].toSorted().toReversed();
  const connection = await createConnection(rig.servers.mysqlUrl);
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs) {
    await connection.beginTransaction();
    try {
      for (const sku of skus) {
        const lock = rig.qualified("SELECT 1 FROM {inventory}.stock WHERE sku_id = ? FOR UPDATE");
        await connection.query(lock, [sku]);
        await scene.during(20 * scene.random());
      }
      const sale = rig.qualified("SELECT 1 FROM {seckill}.sales WHERE id = ? FOR UPDATE");
      await connection.query(sale, [goods.saleId]);
    } catch {
      // The server may choose this side of a deadlock.
    }
    await connection.rollback();
  }
  await connection.end();
}

/** Holds a table so that every statement on it waits. */
async function holdTable({ rig, during }: Scene, table: string, ms: number): Promise<void> {
  const connection = await createConnection(rig.servers.mysqlUrl);
  await connection.query(rig.qualified(`LOCK TABLES ${table} WRITE`));
  await during(ms);
  await connection.query("UNLOCK TABLES");
  await connection.end();
}

export const DATABASE_CELLS: readonly Cell[] = [
  {
    id: "D1",
    title: "Database killed during commits",
    inject: async ({ rig, during }) => {
      await rig.killServer("mysql");
      await during(SHORT_MS);
    },
    expect: told,
  },
  {
    id: "D1b",
    title: "Database killed three times",
    inject: async ({ rig, during, random }) => {
      for (let time = 0; time < 3; time += 1) {
        await rig.killServer("mysql");
        await during(200 + 800 * random());
        await rig.startServer("mysql");
        await during(1_000 + 1_500 * random());
      }
    },
  },
  {
    id: "D2",
    title: "Database frozen for 30 s",
    inject: async ({ rig, during }) => {
      await rig.server("mysql").kill("SIGSTOP");
      await during(30_000);
    },
    expect: told,
  },
  {
    id: "D2b",
    title: "Database frozen for 1 s, three times",
    inject: async ({ rig, during }) => {
      for (let time = 0; time < 3; time += 1) {
        await rig.server("mysql").kill("SIGSTOP");
        await during(1_000);
        await rig.server("mysql").kill("SIGCONT");
        await during(1_000);
      }
    },
  },
  {
    id: "D3",
    title: "Deadlocks with somebody who locks the other way round",
    inject: async (scene) => {
      await Promise.all(Array.from({ length: LOCKERS }, () => lockBackwards(scene, 6_000)));
    },
  },
  {
    id: "D4",
    title: "Every connection to the orders held up for 5 s",
    inject: (scene) => holdTable(scene, "{order}.orders", 5_000),
  },
  {
    id: "D4b",
    title: "No connection left on the server",
    inject: async ({ rig, during }) => {
      // Opened before: afterwards nobody gets in, not even to put it right.
      const operator = await createConnection(rig.servers.mysqlUrl);
      await operator.query("SET GLOBAL max_connections = 10");
      rig.links.mysql.reset();
      await during(SHORT_MS);
      await operator.query("SET GLOBAL max_connections = 300");
      await operator.end();
    },
  },
  {
    id: "D5a",
    title: "Database read-only",
    inject: async ({ rig, during }) => {
      await rig.sql("SET GLOBAL read_only = 1");
      // Who may write in spite of it is the migrating user alone.
      rig.links.mysql.reset();
      await during(SHORT_MS);
      await rig.sql("SET GLOBAL read_only = 0");
    },
    expect: told,
  },
  {
    id: "D5b",
    // As `npm start` has it: the servers' data lie on one disk.
    title: "The disk of all servers full",
    kind: "small disk",
    rig: { disksMb: { mysql: DISK_MB } },
    isImpossible: whyNoDisks,
    inject: async ({ rig, during }) => {
      const empty = fillDisk(rig.folder.mysql);
      await during(10_000);
      empty();
      // JetStream does not heal by itself when there is room again; its operator restarts it.
      await rig.killServer("nats");
    },
  },
  {
    id: "D6",
    title: "A node frozen in the middle of its transactions",
    prepare: async ({ rig }) => {
      const node = await rig.join({ name: "second" });
      rig.doors.push(node.url);
    },
    inject: async ({ rig, during }) => {
      rig.signal("edge", "SIGSTOP");
      rig.signal("core", "SIGSTOP");
      await during(6_000);
    },
  },
  {
    id: "D7a",
    title: "The database's replies lost, its commits done",
    inject: async ({ rig, during }) => {
      for (let time = 0; time < 4; time += 1) {
        rig.links.mysql.drop("replies");
        await during(250);
        rig.links.mysql.mend();
        rig.links.mysql.reset();
        await during(1_000);
      }
    },
  },
  {
    id: "D7b",
    title: "Statements held back and carried out late",
    inject: async ({ rig, during }) => {
      rig.links.mysql.hold("requests");
      await during(SHORT_MS);
    },
  },
  {
    id: "D7c",
    title: "Connections to the database reset again and again",
    inject: async ({ rig, during, random }) => {
      for (let time = 0; time < 12; time += 1) {
        rig.links.mysql.reset();
        await during(100 + 500 * random());
      }
    },
  },
  {
    id: "D8",
    title: "Database reached 50 to 150 ms late",
    inject: async ({ rig, random, during }) => {
      rig.links.mysql.slow({ latencyMs: 25, jitterMs: 50, random });
      await during(6_000);
    },
  },
];
