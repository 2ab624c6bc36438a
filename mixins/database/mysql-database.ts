// The product's Database over mysql2. Three rules make a transaction trustworthy: a failed one can
// neither go on nor commit, a connection in doubt is destroyed, and a COMMIT without an answer is
// looked up behind the lock it held, never guessed.
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import { assert } from "../../services/kernel/assert.ts";
import { type Backoff, backoffDelayMs } from "../../services/kernel/backoff.ts";
import type { Log } from "../log.ts";
import { ConnectionPool, type PoolFigures } from "./connection-pool.ts";
import {
  type CommitResolution,
  type Database,
  sql,
  type Statement,
  type Transaction,
  type TransactionOptions,
  type WriteResult,
} from "./database.ts";
import {
  isConnectionLoss,
  isDuplicateKey,
  isLockConflict,
  isLockTimeout,
  isUnanswered,
} from "./database-error.ts";
import {
  type DatabaseConnection,
  type MysqlAddress,
  MysqlConnection,
  type StatementObserver,
} from "./mysql-connection.ts";

export interface DatabaseOptions {
  readonly schema: string;
  readonly poolSize: number;
  readonly log: Log;
  /** Given, once, the way to read the pool's figures. */
  readonly onPool?: (read: () => PoolFigures) => void;
  /** In [0, 1); for the jitter of retries. */
  readonly random?: () => number;
  readonly acquireTimeoutMs?: number;
}

export interface MysqlDatabaseOptions extends MysqlAddress, DatabaseOptions {
  readonly onStatement?: StatementObserver;
  readonly queryTimeoutMs?: number;
}

const ACQUIRE_TIMEOUT_MS = 500;
/** A crowd of short statements is served well within the time-out; the time is the real bound. */
const QUEUE_LENGTH_PER_CONNECTION = 32;
/** Longer than the server's lock wait, so that the server's own clear answer comes first. */
const QUERY_TIMEOUT_MS = 3_500;
const RUNS_MAX = 4;
/** No new run begins after this: whoever asked has given up by then. */
const RUN_WINDOW_MS = 4_000;
const RUN_BACKOFF: Backoff = { baseMs: 10, maxMs: 80 };
const RESOLVE_TRIES_MAX = 12;
const RESOLVE_BACKOFF: Backoff = { baseMs: 50, maxMs: 800 };
const PING_TIMEOUT_MS = 900;
/** A statement that succeeded this recently proves as much as a ping. */
const PING_FRESH_MS = 1_000;
const CLOSE_GRACE_MS = 5_000;

const COMMIT = sql("transaction.commit", "COMMIT");
const ROLLBACK = sql("transaction.rollback", "ROLLBACK");
const PING = sql("ping", "SELECT 1");

export function createDatabase(options: MysqlDatabaseOptions): Database {
  const queryTimeoutMs = options.queryTimeoutMs ?? QUERY_TIMEOUT_MS;
  return databaseOver(options, () =>
    MysqlConnection.open(options, queryTimeoutMs, options.onStatement),
  );
}

/** A database whose connections somebody else opens. */
export function databaseOver(
  options: DatabaseOptions,
  open: () => Promise<DatabaseConnection>,
): Database {
  return new PooledDatabase(options, open);
}

/** What one run of a transaction came to. */
type RunResult<T> =
  | { readonly kind: "committed"; readonly value: T }
  | { readonly kind: "again"; readonly error: unknown }
  | { readonly kind: "commit_unknown"; readonly error: unknown };

class PooledDatabase implements Database {
  readonly schema: string;
  readonly #pool: ConnectionPool<DatabaseConnection>;
  readonly #log: Log;
  readonly #random: () => number;
  #lastSuccessAt = Number.NEGATIVE_INFINITY;

  constructor(options: DatabaseOptions, open: () => Promise<DatabaseConnection>) {
    this.schema = options.schema;
    this.#log = options.log;
    this.#random = options.random ?? Math.random;
    this.#pool = new ConnectionPool({
      sizeMax: options.poolSize,
      queueLengthMax: options.poolSize * QUEUE_LENGTH_PER_CONNECTION,
      acquireTimeoutMs: options.acquireTimeoutMs ?? ACQUIRE_TIMEOUT_MS,
      open,
    });
    options.onPool?.(() => this.#pool.figures);
  }

  async rows<Row extends object>(
    statement: Statement,
    params?: readonly unknown[],
  ): Promise<Row[]> {
    return (await this.#once(statement, params)) as Row[];
  }

  async row<Row extends object>(
    statement: Statement,
    params?: readonly unknown[],
  ): Promise<Row | undefined> {
    return ((await this.#once(statement, params)) as Row[])[0];
  }

  /** Errors: OUTCOME_UNKNOWN when the answer was lost after the statement was sent. */
  async run(statement: Statement, params?: readonly unknown[]): Promise<WriteResult> {
    const connection = await this.#acquire(false);
    try {
      return writeResult(await connection.query(statement, params));
    } catch (error) {
      if (isUnanswered(error)) throw outcomeUnknown(error);
      throw error;
    } finally {
      this.#pool.release(connection);
    }
  }

  async #acquire(isTransactional: boolean): Promise<DatabaseConnection> {
    const connection = await this.#pool.acquire(
      isTransactional ? suitsTransaction : suitsStatement,
    );
    try {
      await connection.setTransactional(isTransactional);
      return connection;
    } catch (error) {
      this.#pool.discard(connection);
      throw error;
    }
  }

  async #once(statement: Statement, params?: readonly unknown[]): Promise<unknown> {
    const connection = await this.#acquire(false);
    try {
      const result = await connection.query(statement, params);
      this.#lastSuccessAt = performance.now();
      return result;
    } finally {
      this.#pool.release(connection);
    }
  }

  async transaction<T>(
    name: string,
    work: (tx: Transaction) => Promise<T>,
    options?: TransactionOptions<T>,
  ): Promise<T> {
    const startedAt = performance.now();
    for (let run = 1; ; run += 1) {
      let result = await this.#runOnce(work);
      if (result.kind === "commit_unknown") {
        result = await this.#resolve(name, result.error, options?.resolve);
      }
      if (result.kind === "committed") return result.value;
      const isLast = run >= RUNS_MAX || performance.now() - startedAt > RUN_WINDOW_MS;
      if (isLast) throw giveUp(result.error);
      this.#log.debug({ transaction: name, run, err: result.error }, "transaction runs again");
      await delay(backoffDelayMs(RUN_BACKOFF, run, this.#random));
    }
  }

  async #runOnce<T>(
    work: (tx: Transaction) => Promise<T>,
  ): Promise<RunResult<T> | { kind: "commit_unknown"; error: unknown }> {
    const connection = await this.#acquire(true);
    const tx = new PooledTransaction(connection);
    let value: T;
    try {
      value = await work(tx);
      tx.finish();
    } catch (error) {
      const doom = tx.abandon();
      await this.#rollBack(connection, doom ?? error);
      const failure = isDeliberate(error, doom) ? error : (doom ?? error);
      if (isLockConflict(failure) || isConnectionLoss(failure)) {
        return { kind: "again", error: failure };
      }
      throw failure;
    }
    try {
      await connection.query(COMMIT);
    } catch (error) {
      this.#pool.discard(connection);
      return { kind: "commit_unknown", error };
    }
    this.#lastSuccessAt = performance.now();
    this.#pool.release(connection);
    return { kind: "committed", value };
  }

  /** A refused business rule or a duplicate leaves a sound connection; anything else is in doubt. */
  async #rollBack(connection: DatabaseConnection, failure: unknown): Promise<void> {
    const isSound =
      connection.isUsable &&
      (isPlatformError(failure) || isDuplicateKey(failure) || isLockConflict(failure));
    if (!isSound) {
      this.#pool.discard(connection);
      return;
    }
    try {
      await connection.query(ROLLBACK);
      this.#pool.release(connection);
    } catch {
      this.#pool.discard(connection);
    }
  }

  async #resolve<T>(
    name: string,
    lost: unknown,
    resolve: TransactionOptions<T>["resolve"],
  ): Promise<RunResult<T>> {
    if (resolve === undefined) throw outcomeUnknown(lost);
    for (let attempt = 1; attempt <= RESOLVE_TRIES_MAX; attempt += 1) {
      try {
        const found = await this.#lookUp(resolve);
        this.#log.warn({ transaction: name, outcome: found.outcome }, "lost commit looked up");
        if (found.outcome === "committed") return { kind: "committed", value: found.value };
        return { kind: "again", error: lost };
      } catch (error) {
        // Somebody still holds the lock, perhaps the lost transaction itself.
        if (isLockTimeout(error)) break;
        if (!isPlatformError(error, "SERVICE_UNAVAILABLE", "OVERLOADED")) throw error;
        await delay(backoffDelayMs(RESOLVE_BACKOFF, attempt, this.#random));
      }
    }
    throw outcomeUnknown(lost);
  }

  async #lookUp<T>(
    resolve: (tx: Transaction) => Promise<CommitResolution<T>>,
  ): Promise<CommitResolution<T>> {
    const connection = await this.#acquire(true);
    const tx = new PooledTransaction(connection);
    try {
      const found = await resolve(tx);
      tx.finish();
      await this.#rollBack(connection, new PlatformError("OUTCOME_UNKNOWN"));
      return found;
    } catch (error) {
      const failure = tx.abandon() ?? error;
      await this.#rollBack(connection, failure);
      throw failure;
    }
  }

  async ping(): Promise<void> {
    if (performance.now() - this.#lastSuccessAt < PING_FRESH_MS) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new PlatformError("SERVICE_UNAVAILABLE")), PING_TIMEOUT_MS);
    });
    try {
      await Promise.race([this.#once(PING), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#pool.close(CLOSE_GRACE_MS);
  }
}

class PooledTransaction implements Transaction {
  readonly kind = "transaction";
  readonly #connection: DatabaseConnection;
  #isOpen = true;
  #failure: unknown;

  constructor(connection: DatabaseConnection) {
    this.#connection = connection;
  }

  async rows<Row extends object>(
    statement: Statement,
    params?: readonly unknown[],
  ): Promise<Row[]> {
    return (await this.#query(statement, params)) as Row[];
  }

  async row<Row extends object>(
    statement: Statement,
    params?: readonly unknown[],
  ): Promise<Row | undefined> {
    return ((await this.#query(statement, params)) as Row[])[0];
  }

  async run(statement: Statement, params?: readonly unknown[]): Promise<WriteResult> {
    return writeResult(await this.#query(statement, params));
  }

  /** Called before COMMIT; throws what went wrong even when the work swallowed it. */
  finish(): void {
    this.#isOpen = false;
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  /** Ends the use of this transaction and returns the error that doomed it, if there was one. */
  abandon(): unknown {
    this.#isOpen = false;
    return this.#failure;
  }

  async #query(statement: Statement, params?: readonly unknown[]): Promise<unknown> {
    assert(this.#isOpen, `${statement.name} was run after its transaction had ended`);
    if (this.#failure !== undefined) throw this.#failure as Error;
    try {
      return await this.#connection.query(statement, params);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /**
   * After a duplicate key only the statement is undone and the work may go on. After a deadlock the
   * server has undone everything, and what follows would be half of the work.
   */
  #fail(error: unknown): void {
    if (!isDuplicateKey(error)) this.#failure ??= error;
  }
}

/** The work has looked at what doomed the transaction and answers for it with its own error. */
function isDeliberate(error: unknown, doom: unknown): boolean {
  return error !== doom && isPlatformError(error);
}

function suitsTransaction(connection: DatabaseConnection): boolean {
  return connection.isTransactional;
}

function suitsStatement(connection: DatabaseConnection): boolean {
  return !connection.isTransactional;
}

function writeResult(result: unknown): WriteResult {
  const { affectedRows, insertId } = result as {
    affectedRows: number;
    insertId: number | string;
  };
  return { affectedRows, insertId: String(insertId) };
}

function outcomeUnknown(cause: unknown): PlatformError {
  const error = new PlatformError("OUTCOME_UNKNOWN");
  error.cause = cause;
  return error;
}

/** What a transaction that lost every run is refused with. */
function giveUp(error: unknown): unknown {
  if (!isLockConflict(error)) return error;
  const refusal = new PlatformError("OVERLOADED");
  refusal.cause = error;
  return refusal;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
