// The port to a service's own schema: named statements, transactions, nothing else. The product's
// implementation is mysql-database.ts; a name travels into metrics and spans, values never do.

/** SQL text with the name it has in metrics, spans and errors. Values are bound, never inlined. */
export interface Statement {
  readonly name: string;
  readonly sql: string;
}

export function sql(name: string, text: string): Statement {
  return { name, sql: text };
}

export interface WriteResult {
  /** Rows found by the WHERE clause, not rows changed (CLIENT_FOUND_ROWS is on in mysql2). */
  readonly affectedRows: number;
  /** The first AUTO_INCREMENT id of the statement, as a decimal string; "0" when there is none. */
  readonly insertId: string;
}

export interface Queryable {
  /** All rows. BIGINT and DECIMAL columns are decimal strings, DATETIME columns are Dates (UTC). */
  rows<Row extends object>(statement: Statement, params?: readonly unknown[]): Promise<Row[]>;
  /** The first row. */
  row<Row extends object>(
    statement: Statement,
    params?: readonly unknown[],
  ): Promise<Row | undefined>;
  /** `?` bound to an array of arrays expands to a multi-row VALUES list. */
  run(statement: Statement, params?: readonly unknown[]): Promise<WriteResult>;
}

/** A READ COMMITTED transaction; usable only inside the work that received it. */
export interface Transaction extends Queryable {
  readonly kind: "transaction";
}

/** What was found out about a COMMIT whose answer was lost. */
export type CommitResolution<T> =
  | { readonly outcome: "committed"; readonly value: T }
  | {
      readonly outcome: "not_committed";
    };

export interface TransactionOptions<T> {
  /**
   * Called on a new connection when the COMMIT's answer was lost. It must first take the row lock
   * the lost transaction held (FOR UPDATE), then read by id: a plain read can miss a commit in
   * flight. Without it, or when the lock times out, the transaction rejects with OUTCOME_UNKNOWN.
   */
  readonly resolve?: (tx: Transaction) => Promise<CommitResolution<T>>;
}

export interface Database extends Queryable {
  /** Schema name, such as `shop_order`. */
  readonly schema: string;
  /**
   * Runs `work` in one transaction and commits. A deadlock or lock time-out rolls back and runs the
   * whole work again with jitter, a bounded number of times: `work` must have no effect outside the
   * transaction. Any error inside rolls back and is thrown on.
   * Errors: OVERLOADED when no connection is free in time, SERVICE_UNAVAILABLE when the server is
   * away, OUTCOME_UNKNOWN when the COMMIT's answer was lost and could not be resolved.
   */
  transaction<T>(
    name: string,
    work: (tx: Transaction) => Promise<T>,
    options?: TransactionOptions<T>,
  ): Promise<T>;
  /** Resolves when the server answers; rejects with SERVICE_UNAVAILABLE within a second. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
