// One connection to MySQL or MariaDB with the session every service relies on: UTC, strict mode,
// READ COMMITTED, bounded lock and statement times. The only place that knows vendor variables.
import { type Connection, type ConnectionOptions, createConnection } from "mysql2";
import { currentContext } from "../context.ts";
import type { ObservedCommand } from "../metrics/observed-command.ts";
import { sql, type Statement } from "./database.ts";
import { describeFailure, type ServerError } from "./database-error.ts";
import type { PooledConnection } from "./connection-pool.ts";

/** Longer than any caller waits: what a busy server begins it also ends, and the next caller finds it. */
const CONNECT_TIMEOUT_MS = 3_000;
const LOCK_WAIT_TIMEOUT_S = 3;
const IDLE_TRANSACTION_TIMEOUT_S = 2;
const END_TIMEOUT_MS = 500;

const SQL_MODE =
  "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION";

/** By which a statement may outlive its caller's patience: the caller's own answer comes first. */
const STATEMENT_MARGIN_MS = 1_500;
const MS_PER_S = 1_000;

/** `/*M!` is run by MariaDB alone; `/*!80000` by MySQL 8 alone (MariaDB skips 50700 to 99999). */
function sessionOf(queryTimeoutMs: number): readonly string[] {
  const statementS = Math.ceil((queryTimeoutMs + STATEMENT_MARGIN_MS) / MS_PER_S);
  return [
    [
      `SET SESSION time_zone = '+00:00', sql_mode = '${SQL_MODE}'`,
      `innodb_lock_wait_timeout = ${LOCK_WAIT_TIMEOUT_S}`,
      `autocommit = 1 /*M!, max_statement_time = ${statementS}`,
      `idle_transaction_timeout = ${IDLE_TRANSACTION_TIMEOUT_S} */`,
    ].join(", "),
    `SET SESSION autocommit = 1 /*!80000 , max_execution_time = ${statementS * MS_PER_S} */`,
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  ];
}

const AUTOCOMMIT_OFF = sql("connect.autocommit_off", "SET SESSION autocommit = 0");
const AUTOCOMMIT_ON = sql("connect.autocommit_on", "SET SESSION autocommit = 1");

export interface MysqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly schema: string;
}

/** Called after each statement. */
export type StatementObserver = (statement: ObservedCommand) => void;

/** A session of its own on a server. */
export interface DatabaseConnection extends PooledConnection {
  /** True when the first statement opens a transaction by itself (autocommit is off). */
  readonly isTransactional: boolean;
  setTransactional(isTransactional: boolean): Promise<void>;
  /** Statements are run one after the other. Errors: those of describeFailure(). */
  query(statement: Statement, params?: readonly unknown[]): Promise<unknown>;
}

export class MysqlConnection implements DatabaseConnection {
  readonly #connection: Connection;
  readonly #queryTimeoutMs: number;
  readonly #observe: StatementObserver | undefined;
  #isUsable = true;
  #isTransactional = false;

  private constructor(
    connection: Connection,
    queryTimeoutMs: number,
    observe: StatementObserver | undefined,
  ) {
    this.#connection = connection;
    this.#queryTimeoutMs = queryTimeoutMs;
    this.#observe = observe;
    const lose = () => {
      this.#isUsable = false;
    };
    connection.on("error", lose);
    connection.on("end", lose);
  }

  /** Rejects with SERVICE_UNAVAILABLE when the server is away. */
  static async open(
    address: MysqlAddress,
    queryTimeoutMs: number,
    observe: StatementObserver | undefined,
  ): Promise<MysqlConnection> {
    const driver = createConnection(driverOptions(address));
    const connection = new MysqlConnection(driver, queryTimeoutMs, observe);
    try {
      await new Promise<void>((resolve, reject) => {
        driver.connect((error: unknown) => {
          if (error === null || error === undefined) resolve();
          else reject(describeFailure("connect", error));
        });
      });
      await Promise.all(
        sessionOf(queryTimeoutMs).map((text) =>
          connection.query({ name: "connect.session", sql: text }),
        ),
      );
      return connection;
    } catch (error) {
      driver.destroy();
      throw error;
    }
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  get isTransactional(): boolean {
    return this.#isTransactional;
  }

  /**
   * Switches autocommit, when it has to be. With autocommit off there is no START TRANSACTION to
   * send, and a statement that was queued behind a deadlock lands in a new transaction, which the
   * ROLLBACK undoes, where it would have been committed on its own.
   */
  async setTransactional(isTransactional: boolean): Promise<void> {
    if (this.#isTransactional === isTransactional) return;
    await this.query(isTransactional ? AUTOCOMMIT_OFF : AUTOCOMMIT_ON);
    this.#isTransactional = isTransactional;
  }

  /**
   * Rows, or the header of a write. After a time-out or a broken connection the connection is
   * unusable: the driver does not cancel anything, and the next query would wait behind it.
   */
  query(statement: Statement, params?: readonly unknown[]): Promise<unknown> {
    const observe = this.#observe;
    const startedAt = observe === undefined ? 0 : performance.now();
    const context = observe === undefined ? undefined : currentContext();
    return new Promise((resolve, reject) => {
      this.#connection.query(
        { sql: statement.sql, values: params as unknown[], timeout: this.#queryTimeoutMs },
        (error: ServerError | null, result: unknown) => {
          observe?.({
            name: statement.name,
            ms: performance.now() - startedAt,
            isOk: error === null,
            context,
          });
          if (error === null) {
            resolve(result);
            return;
          }
          if (error.sqlMessage === undefined || error.fatal === true) this.#isUsable = false;
          reject(describeFailure(statement.name, error));
        },
      );
    });
  }

  destroy(): void {
    this.#isUsable = false;
    this.#connection.destroy();
  }

  async end(): Promise<void> {
    this.#isUsable = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, END_TIMEOUT_MS);
      this.#connection.end(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#connection.destroy();
  }
}

function driverOptions({ host, port, user, password, schema }: MysqlAddress): ConnectionOptions {
  return {
    host,
    port,
    user,
    password,
    database: schema,
    charset: "utf8mb4",
    timezone: "Z",
    supportBigNumbers: true,
    bigNumberStrings: true,
    // MySQL parses JSON columns, MariaDB has none: strings from both.
    jsonStrings: true,
    // An object that gets into the parameters becomes a string, never a list of columns.
    stringifyObjects: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
  };
}
