// Connections to the simulated database server, under the product's own pool and transactions. An
// answer can be lost with its connection, and a COMMIT can arrive after its sender was told so.
import { type Database, type Statement } from "../../../mixins/database/database.ts";
import { describeFailure } from "../../../mixins/database/database-error.ts";
import { databaseOver } from "../../../mixins/database/mysql-database.ts";
import type { DatabaseConnection } from "../../../mixins/database/mysql-connection.ts";
import { silentLog } from "../../support/database.ts";
import { FAULTS, type Fault } from "../kernel/fault-plan.ts";
import type { Network } from "../kernel/remote.ts";
import type { Process } from "../kernel/simulation.ts";
import type { SqlFailure } from "../sql/failure.ts";
import type { Session, SqlServer } from "../sql/server.ts";

const POOL_SIZE = 6;
const QUERY_TIMEOUT_MS = 3_500;
const ROLLBACK = "transaction.rollback";
const SILENT = /^connect\./;
const COMMIT = "transaction.commit";
const COMMIT_FAULTS = FAULTS.filter((fault) => fault !== "refused");
const STATEMENT_FAULTS = FAULTS.filter((fault) => fault !== "late");

export interface SimulatedDatabaseOptions {
  readonly server: SqlServer;
  readonly network: Network;
  readonly process: Process;
}

export function simulatedDatabase(options: SimulatedDatabaseOptions, schema: string): Database {
  const { simulation } = options.network;
  return databaseOver(
    { schema, poolSize: POOL_SIZE, log: silentLog, random: simulation.random },
    () => Promise.resolve(simulatedConnection(options, schema)),
  );
}

export function simulatedConnection(
  options: SimulatedDatabaseOptions,
  schema: string,
): DatabaseConnection {
  return new SimulatedConnection(options, schema);
}

interface Command {
  readonly statement: Statement;
  readonly params: readonly unknown[];
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class SimulatedConnection implements DatabaseConnection {
  readonly #network: Network;
  readonly #process: Process;
  readonly #session: Session;
  readonly #commands: Command[] = [];
  #isBusy = false;
  #isUsable = true;
  #isTransactional = false;

  constructor({ server, network, process }: SimulatedDatabaseOptions, schema: string) {
    this.#network = network;
    this.#process = process;
    this.#session = server.open(schema);
    process.onDeath(() => this.#closeSession());
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  get isTransactional(): boolean {
    return this.#isTransactional;
  }

  async setTransactional(isTransactional: boolean): Promise<void> {
    if (this.#isTransactional === isTransactional) return;
    const value = isTransactional ? 0 : 1;
    const name = isTransactional ? "connect.autocommit_off" : "connect.autocommit_on";
    await this.query({ name, sql: `SET SESSION autocommit = ${value}` });
    this.#isTransactional = isTransactional;
  }

  query(statement: Statement, params: readonly unknown[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#commands.push({ statement, params, resolve, reject });
      this.#next();
    });
  }

  destroy(): void {
    this.#isUsable = false;
    this.#closeSession();
  }

  end(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }

  /** The server notices a moment later. */
  #closeSession(): void {
    const { simulation } = this.#network;
    simulation.schedule(simulation.latency(), undefined, () => this.#session.close());
  }

  #next(): void {
    if (this.#isBusy) return;
    const command = this.#commands.shift();
    if (command === undefined) return;
    if (!this.#isUsable) {
      this.#break(command, "ECONNRESET");
      return;
    }
    this.#isBusy = true;
    const { name } = command.statement;
    const fault = this.#boundary(name);
    this.#send(command, fault);
  }

  #boundary(name: string): Fault | undefined {
    if (name === ROLLBACK || SILENT.test(name)) return undefined;
    const label = `db ${this.#session.schema} ${name}`;
    return this.#network.boundary(label, name === COMMIT ? COMMIT_FAULTS : STATEMENT_FAULTS);
  }

  #send(command: Command, fault: Fault | undefined): void {
    const { simulation } = this.#network;
    switch (fault) {
      case "crash_before":
        return;
      case "lost_request":
        this.#loseAnswer(command);
        return;
      case "refused":
        this.#session.execute("ROLLBACK", [], () => undefined);
        this.#answer(command, { errno: 1213, code: "ER_LOCK_DEADLOCK" }, undefined);
        return;
      case "late":
        this.#loseAnswer(command);
        simulation.schedule(simulation.random() * 5, undefined, () => {
          this.#execute(command, () => undefined);
        });
        return;
      case "lost_reply":
      case "crash_after":
      case undefined:
        simulation.schedule(simulation.latency(), undefined, () => {
          this.#execute(command, (failure, result) => {
            if (fault === "crash_after") this.#process.die();
            else if (fault === "lost_reply") this.#loseAnswer(command);
            else this.#answer(command, failure, result);
          });
        });
    }
  }

  #execute(
    { statement, params }: Command,
    answer: (failure: SqlFailure | undefined, result: unknown) => void,
  ): void {
    this.#session.execute(statement.sql, params, answer);
  }

  #answer(
    command: Command,
    failure:
      { readonly errno: number; readonly code: string; readonly message?: string } | undefined,
    result: unknown,
  ): void {
    const { simulation } = this.#network;
    simulation.schedule(simulation.latency(), this.#process, () => {
      this.#isBusy = false;
      if (failure === undefined) command.resolve(result);
      else {
        const { errno, code, message: sqlMessage = "" } = failure;
        command.reject(describeFailure(command.statement.name, { errno, code, sqlMessage }));
      }
      this.#next();
    });
  }

  /** The connection breaks, or stays silent until the client's patience ends. */
  #loseAnswer(command: Command): void {
    const { simulation } = this.#network;
    const isSilent = simulation.random() < 0.3;
    const delayMs = isSilent ? QUERY_TIMEOUT_MS : simulation.latency();
    simulation.schedule(delayMs, this.#process, () => {
      this.#isUsable = false;
      this.#isBusy = false;
      this.#break(command, isSilent ? "PROTOCOL_SEQUENCE_TIMEOUT" : "ECONNRESET");
      this.#next();
    });
  }

  #break({ statement, reject }: Command, code: string): void {
    reject(describeFailure(statement.name, { code }));
    this.#next();
  }
}
