// A database server in memory: sessions, transactions under READ COMMITTED, row locks that are waited
// for, deadlocks found at once. It must do what the real server does
// (test/integration/simulation-conformance.test.ts holds it to it).
import type { Row } from "./evaluate.ts";
import { SqlFailure } from "./failure.ts";
import { parseStatement } from "./parse.ts";
import { kindOf, type Reader, runSelect } from "./run-select.ts";
import { runDelete, runInsert, runUpdate } from "./run-write.ts";
import type { ColumnKind, Select, Statement, TableDefinition, Value } from "./syntax.ts";
import { Blocked, LockHolder, Table } from "./tables.ts";

const LOCK_WAIT_S = 3;
const MS_PER_SECOND = 1_000;

export interface ServerClock {
  /** Whole milliseconds since the Unix epoch. */
  now(): number;
  after(ms: number, run: () => void): () => void;
}

export type Answer = (failure: SqlFailure | undefined, result: unknown) => void;

interface Waiting {
  readonly session: Session;
  readonly holder: LockHolder;
  readonly blockedBy: LockHolder;
  readonly retry: () => void;
  readonly giveUp: () => void;
}

export class SqlServer {
  readonly clock: ServerClock;
  readonly #schemas = new Map<string, Map<string, Table>>();
  readonly #waiting = new Set<Waiting>();

  constructor(clock: ServerClock) {
    this.clock = clock;
  }

  createSchema(name: string, tables: readonly TableDefinition[]): void {
    this.#schemas.set(name, new Map(tables.map((table) => [table.name, new Table(table)])));
  }

  table(schema: string, name: string): Table {
    const table = this.#schemas.get(schema)?.get(name);
    if (table !== undefined) return table;
    throw new SqlFailure(1146, "ER_NO_SUCH_TABLE", `Table '${schema}.${name}' doesn't exist`);
  }

  open(schema: string): Session {
    return new Session(this, schema);
  }

  /** Waits for the lock; a circle of waiting ends the one who closed it. */
  wait(waiting: Waiting): void {
    if (this.#closesCircle(waiting)) {
      waiting.giveUp();
      return;
    }
    this.#waiting.add(waiting);
  }

  #closesCircle({ holder, blockedBy }: Waiting): boolean {
    const seen = new Set<LockHolder>();
    let at: LockHolder | undefined = blockedBy;
    while (at !== undefined && !seen.has(at)) {
      if (at === holder) return true;
      seen.add(at);
      const current: LockHolder = at;
      at = [...this.#waiting].find((one) => one.holder === current)?.blockedBy;
    }
    return false;
  }

  forgetWaiting(session: Session): void {
    for (const one of this.#waiting) if (one.session === session) this.#waiting.delete(one);
  }

  ended(holder: LockHolder): void {
    for (const one of [...this.#waiting]) {
      if (one.blockedBy !== holder || !this.#waiting.delete(one)) continue;
      one.retry();
    }
  }
}

export class Session {
  readonly schema: string;
  readonly #server: SqlServer;
  #isAutocommit = true;
  #holder = new LockHolder();
  #isClosed = false;

  constructor(server: SqlServer, schema: string) {
    this.#server = server;
    this.schema = schema;
  }

  /** Runs one statement; `answer` is called once, later when the statement must wait. */
  execute(sql: string, params: readonly unknown[], answer: Answer): void {
    if (this.#isClosed) return;
    const statement = parseStatement(sql);
    const { command } = statement;
    switch (command.kind) {
      case "commit":
        this.#end(true);
        answer(undefined, { affectedRows: 0, insertId: 0 });
        return;
      case "rollback":
        this.#end(false);
        answer(undefined, { affectedRows: 0, insertId: 0 });
        return;
      case "autocommit":
        if (command.isOn) this.#end(true);
        this.#isAutocommit = command.isOn;
        answer(undefined, { affectedRows: 0, insertId: 0 });
        return;
      case "select":
      case "insert":
      case "update":
      case "delete":
        this.#run({ statement, params, now: this.#server.clock.now(), answer });
    }
  }

  /** The client is gone: what it had not committed never was. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#server.forgetWaiting(this);
    this.#end(false);
  }

  #run(work: Work): void {
    const { statement, params, now, answer } = work;
    const reader: Reader = {
      holder: this.#holder,
      params,
      now,
      table: (schema, name) => this.#server.table(schema ?? this.schema, name),
    };
    this.#holder.undo = [];
    try {
      const result = runCommand(statement, reader);
      this.#holder.undo = [];
      if (this.#isAutocommit) this.#end(true);
      answer(undefined, result);
    } catch (error) {
      this.#holder.undoStatement();
      if (error instanceof Blocked) {
        this.#wait(work, error.by);
        return;
      }
      if (!(error instanceof SqlFailure)) throw error;
      if (this.#isAutocommit) this.#end(false);
      answer(error, undefined);
    }
  }

  #wait(work: Work, blockedBy: LockHolder): void {
    const { statement, answer } = work;
    const waitMs = (statement.lockWaitS ?? LOCK_WAIT_S) * MS_PER_SECOND;
    const cancel = this.#server.clock.after(waitMs, () => {
      this.#server.forgetWaiting(this);
      if (this.#isAutocommit) this.#end(false);
      answer(new SqlFailure(1205, "ER_LOCK_WAIT_TIMEOUT", "Lock wait timeout exceeded"), undefined);
    });
    this.#server.wait({
      session: this,
      holder: this.#holder,
      blockedBy,
      retry: () => {
        cancel();
        this.#run(work);
      },
      giveUp: () => {
        cancel();
        this.#end(false);
        answer(new SqlFailure(1213, "ER_LOCK_DEADLOCK", "Deadlock found"), undefined);
      },
    });
  }

  #end(isCommit: boolean): void {
    const holder = this.#holder;
    this.#holder = new LockHolder();
    holder.end(isCommit);
    this.#server.ended(holder);
  }
}

interface Work {
  readonly statement: Statement;
  readonly params: readonly unknown[];
  readonly now: number;
  readonly answer: Answer;
}

function runCommand({ command }: Statement, reader: Reader): unknown {
  switch (command.kind) {
    case "select":
      return driverRows(reader, command, runSelect(reader, command));
    case "insert":
      return runInsert(reader, command);
    case "update":
      return runUpdate(reader, command);
    case "delete":
      return runDelete(reader, command);
    case "commit":
    case "rollback":
    case "autocommit":
      throw new Error(`${command.kind} is no statement of a transaction`);
  }
}

function driverRows(reader: Reader, select: Select, rows: readonly Row[]): readonly object[] {
  const kinds = select.items.map(({ alias, expression }) => ({
    alias,
    kind: kindOf(reader, select, expression),
  }));
  return rows.map((row) =>
    Object.fromEntries(
      kinds.map(({ alias, kind }) => [alias, driverValue(row[alias] ?? null, kind)]),
    ),
  );
}

function driverValue(value: Value, kind: ColumnKind): unknown {
  if (value === null) return null;
  if (kind === "bigint") return String(value);
  if (kind === "datetime") return new Date(Number(value));
  return value;
}
