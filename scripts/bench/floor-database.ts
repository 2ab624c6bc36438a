// Bare mysql2 for floor T: a free list of connections with autocommit off for transactions, and one
// of connections with it on. Session settings as the product's, nothing else of it.
import { type Connection, createConnection } from "mysql2";
import { mysqlLogin } from "./mysql-login.ts";

/** As DATABASE_POOL_SIZE of the product's processes. */
const TRANSACTION_CONNECTIONS = 10;
const PLAIN_CONNECTIONS = 4;
const RUNS_MAX = 4;
const DEADLOCK = 1213;

export type Rows = Record<string, unknown>[];
export type Run = (sql: string, params?: readonly unknown[]) => Promise<Rows>;

export class FloorDatabase {
  readonly #transactional: FreeList;
  readonly #plain: FreeList;

  private constructor(transactional: FreeList, plain: FreeList) {
    this.#transactional = transactional;
    this.#plain = plain;
  }

  /** @param hasManyStatements several statements may travel in one text, and round trip. */
  static async open(
    mysqlUrl: string,
    schema: string,
    { hasManyStatements = false, plainConnections = PLAIN_CONNECTIONS } = {},
  ): Promise<FloorDatabase> {
    const open = (count: number, autocommit: 0 | 1): Promise<Connection[]> =>
      openAll(mysqlUrl, schema, { count, autocommit, hasManyStatements });
    const [transactional, plain] = await Promise.all([
      open(TRANSACTION_CONNECTIONS, 0),
      open(plainConnections, 1),
    ]);
    return new FloorDatabase(new FreeList(transactional), new FreeList(plain));
  }

  /** Runs again after a deadlock, as the product does; anything else fails the measurement. */
  async transaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    const connection = await this.#transactional.take();
    for (let run = 1; ; run += 1) {
      try {
        const value = await work((sql, params) => query(connection, sql, params));
        await query(connection, "COMMIT");
        this.#transactional.give(connection);
        return value;
      } catch (error) {
        if (run >= RUNS_MAX || (error as { errno?: number }).errno !== DEADLOCK) throw error;
        // Behind the statements that were queued with the one that failed.
        await query(connection, "ROLLBACK");
      }
    }
  }

  async run(sql: string, params?: readonly unknown[]): Promise<Rows> {
    const connection = await this.#plain.take();
    const rows = await query(connection, sql, params);
    this.#plain.give(connection);
    return rows;
  }
}

class FreeList {
  readonly #free: Connection[];
  readonly #waiting: ((connection: Connection) => void)[] = [];

  constructor(connections: Connection[]) {
    this.#free = connections;
  }

  take(): Connection | Promise<Connection> {
    return this.#free.pop() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(connection: Connection): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(connection);
    else next(connection);
  }
}

async function openAll(
  mysqlUrl: string,
  schema: string,
  options: { count: number; autocommit: 0 | 1; hasManyStatements: boolean },
): Promise<Connection[]> {
  const { count, autocommit, hasManyStatements } = options;
  const connections = Array.from({ length: count }, () =>
    createConnection({
      ...mysqlLogin(mysqlUrl),
      database: schema,
      charset: "utf8mb4",
      timezone: "Z",
      supportBigNumbers: true,
      bigNumberStrings: true,
      multipleStatements: hasManyStatements,
    }),
  );
  for (const connection of connections) {
    await query(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    await query(connection, "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 3");
    await query(connection, `SET SESSION autocommit = ${autocommit}`);
  }
  return connections;
}

function query(connection: Connection, sql: string, params?: readonly unknown[]): Promise<Rows> {
  return new Promise((resolve, reject) => {
    connection.query(sql, params as unknown[], (error, rows) => {
      if (error === null) resolve(rows as Rows);
      else reject(error);
    });
  });
}

/** One commit for each item, or for all that came while the last commit was under way. */
export function grouped<Item>(
  isGrouped: boolean,
  batchSizeMax: number,
  commit: (items: readonly Item[]) => Promise<void>,
): (item: Item) => Promise<void> {
  if (!isGrouped) return (item) => commit([item]);
  let waiting: { item: Item; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let isRunning = false;
  const run = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const batch = waiting.slice(0, batchSizeMax);
      waiting = waiting.slice(batchSizeMax);
      try {
        await commit(batch.map(({ item }) => item));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isRunning = false;
  };
  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (isRunning) return;
      isRunning = true;
      void run();
    });
}
