// The sale that everybody writes first: read what is left, and if there is something, write one less and
// take the order. Two buyers who read before either writes both get the same unit. A lesson on a schema
// of its own; nothing of the platform is sold by it or comes near it.
import { createConnection } from "mysql2/promise";
import { type Database, sql } from "../../mixins/database/database.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { createLog } from "../../mixins/log.ts";
import { must } from "../../services/kernel/assert.ts";
import { mysqlLogin } from "../bench/mysql-login.ts";

/** Purchases that run at the same time, each on a connection of its own. */
export const NAIVE_AT_ONCE_MAX = 32;
/** For a connection: clicks that come together stand in line. */
const PATIENCE_MS = 30_000;
/** The one sale of the schema. */
const SALE_ID = 1;

const TABLES = [
  "CREATE TABLE sales (id INT PRIMARY KEY, remaining INT NOT NULL) ENGINE = InnoDB",
  `CREATE TABLE orders (
     id INT AUTO_INCREMENT PRIMARY KEY, buyer INT NOT NULL, KEY by_buyer (buyer)
   ) ENGINE = InnoDB`,
] as const;

const READ = sql(
  "naive.read",
  `SELECT s.remaining, (SELECT COUNT(*) FROM orders AS o WHERE o.buyer = ?) AS orders
   FROM sales AS s WHERE s.id = ?`,
);
const WRITE = sql("naive.write", "UPDATE sales SET remaining = ? WHERE id = ?");
const TAKE_ORDER = sql("naive.order", "INSERT INTO orders (buyer) VALUES (?)");
const TALLY = sql(
  "naive.tally",
  `SELECT (SELECT remaining FROM sales WHERE id = ?) AS remaining,
          COUNT(*) AS orders, COUNT(DISTINCT buyer) AS buyers FROM orders`,
);

export interface NaiveTally {
  /** What its own counter says is left. */
  readonly remaining: number;
  readonly orders: number;
  /** Buyers who have an order. */
  readonly buyers: number;
}

export interface NaiveSale {
  buy(buyer: number): Promise<"bought" | "sold out" | "already">;
  tally(): Promise<NaiveTally>;
  /** Removes its schema. */
  close(): Promise<void>;
}

export interface NaiveSaleOptions {
  /** A login that may create a schema. */
  readonly mysqlUrl: string;
  readonly namespace: string;
  readonly units: number;
  /** Between the reading and the writing of a purchase. */
  readonly afterRead?: () => Promise<void>;
}

/** Errors: those of the server; what an earlier run left behind is replaced. */
export async function openNaiveSale(options: NaiveSaleOptions): Promise<NaiveSale> {
  const { mysqlUrl, namespace, units, afterRead = () => Promise.resolve() } = options;
  const schema = `${namespace}_naive_demo`;
  const admin = await createConnection(mysqlUrl);
  await admin.query("DROP DATABASE IF EXISTS ??", [schema]);
  await admin.query("CREATE DATABASE ??", [schema]);
  await admin.query("USE ??", [schema]);
  for (const table of TABLES) await admin.query(table);
  await admin.query("INSERT INTO sales (id, remaining) VALUES (?, ?)", [SALE_ID, units]);
  const database = openDatabase(mysqlUrl, schema);
  return {
    buy: (buyer) => buyNaively(database, buyer, afterRead),
    tally: () => readTally(database),
    async close() {
      await database.close();
      await admin.query("DROP DATABASE IF EXISTS ??", [schema]);
      await admin.end();
    },
  };
}

function openDatabase(mysqlUrl: string, schema: string): Database {
  return createDatabase({
    ...mysqlLogin(mysqlUrl),
    schema,
    poolSize: NAIVE_AT_ONCE_MAX,
    acquireTimeoutMs: PATIENCE_MS,
    log: createLog("fatal", {}),
  });
}

/** It is in a transaction, and that does not help: nothing that was read is locked. */
async function buyNaively(
  database: Database,
  buyer: number,
  afterRead: () => Promise<void>,
): Promise<"bought" | "sold out" | "already"> {
  return await database.transaction("naive.buy", async (tx) => {
    const row = await tx.row<{ remaining: number; orders: string }>(READ, [buyer, SALE_ID]);
    const { remaining, orders } = must(row, "the naive sale");
    await afterRead();
    if (Number(orders) > 0) return "already";
    if (remaining <= 0) return "sold out";
    await tx.run(WRITE, [remaining - 1, SALE_ID]);
    await tx.run(TAKE_ORDER, [buyer]);
    return "bought";
  });
}

async function readTally(database: Database): Promise<NaiveTally> {
  const row = await database.row<{ remaining: number; orders: string; buyers: string }>(TALLY, [
    SALE_ID,
  ]);
  const { remaining, orders, buyers } = must(row, "the naive sale");
  return { remaining, orders: Number(orders), buyers: Number(buyers) };
}
