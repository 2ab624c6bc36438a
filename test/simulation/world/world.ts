// The world of one schedule: servers, a provider, nodes that live and die, and what clients have heard.
import { prepareInvariants } from "../../../mixins/auditor/invariants.ts";
import type { IdGenerator } from "../../../services/kernel/ids.ts";
import type { FaultPlan } from "../kernel/fault-plan.ts";
import { Network } from "../kernel/remote.ts";
import { Process, type Simulation } from "../kernel/simulation.ts";
import { SqlServer } from "../sql/server.ts";
import { Brokers } from "./broker.ts";
import { MessageServer } from "./bus.ts";
import { type SimulatedNode, startNode } from "./node.ts";
import { Provider } from "./provider.ts";
import { RedisServer } from "./redis.ts";
import { SIMULATED_SCHEMAS, SIMULATED_TABLES } from "./schemas.ts";

const FIRST_ID = 1_000_000;
/** Everything is due at once; a hold may last as long as a schedule does. */
const INVARIANTS = prepareInvariants({
  nameOf: (schema) => schema,
  schemas: SIMULATED_SCHEMAS,
  times: { graceS: 0, holdS: 3_600 },
});

export interface Violation {
  readonly name: string;
  readonly offending: readonly string[];
}

export class World {
  readonly simulation: Simulation;
  readonly network: Network;
  readonly sql: SqlServer;
  readonly redis: RedisServer;
  readonly messages: MessageServer;
  readonly brokers: Brokers;
  readonly provider: Provider;
  readonly ids: IdGenerator;
  readonly #nodes = new Map<string, SimulatedNode>();
  #incarnations = 0;

  constructor(simulation: Simulation, faults: FaultPlan) {
    this.simulation = simulation;
    this.network = new Network(simulation, faults);
    this.sql = new SqlServer({
      now: () => simulation.wallMs,
      after: (ms, run) => {
        const timer = simulation.schedule(ms, undefined, run);
        return () => {
          timer.isCancelled = true;
        };
      },
    });
    for (const [schema, tables] of SIMULATED_TABLES) this.sql.createSchema(schema, tables);
    this.redis = new RedisServer(() => simulation.preciseWallMs);
    this.messages = new MessageServer(this.network);
    this.brokers = new Brokers(this.network);
    this.provider = new Provider(this.network);
    let lastId = FIRST_ID;
    this.ids = {
      next: () => {
        lastId += 1;
        return String(lastId);
      },
    };
  }

  /** Starts the node, again when it is dead. */
  start(name: string): SimulatedNode {
    const known = this.#nodes.get(name);
    if (known?.process.isDead === false) return known;
    this.#incarnations += 1;
    const process = new Process(`${name}.${this.#incarnations}`);
    const node = this.simulation.as(process, () => startNode(this, process));
    this.#nodes.set(name, node);
    return node;
  }

  /** Nodes that live. */
  nodes(): readonly SimulatedNode[] {
    return [...this.#nodes.values()].filter(({ process }) => !process.isDead);
  }

  restartDead(): void {
    for (const name of this.#nodes.keys()) this.start(name);
  }

  /** One statement at once, with nobody in between. */
  query<Row extends object>(
    schema: string,
    text: string,
    params: readonly unknown[] = [],
  ): readonly Row[] {
    const session = this.sql.open(schema);
    let rows: readonly Row[] | undefined;
    session.execute(text, params, (failure, result) => {
      if (failure !== undefined) throw failure;
      rows = result as readonly Row[];
    });
    session.close();
    if (rows === undefined) throw new Error("the statement has to wait");
    return rows;
  }

  /** What does not hold of the data now: the same queries as in the running shop. */
  violations(): readonly Violation[] {
    return INVARIANTS.flatMap(({ name, statement, params }) => {
      const rows = this.query<{ offender: string }>("order", statement.sql, params);
      return rows.length === 0 ? [] : [{ name, offending: rows.map(({ offender }) => offender) }];
    });
  }
}
