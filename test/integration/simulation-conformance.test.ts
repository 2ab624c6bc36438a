// Holds the servers that the simulation makes in memory to the real ones: what they are asked is the
// same, and every answer must be. PROPERTY_SEED replays the gate's commands.
import assert from "node:assert/strict";
import { databaseCredentials } from "../../config/database.ts";
import {
  type DatabaseConnection,
  MysqlConnection,
} from "../../mixins/database/mysql-connection.ts";
import { must } from "../../services/kernel/assert.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import type { Gate, GateCandidate, GateEpoch } from "../../services/seckill/gate.ts";
import { fixedFaults } from "../simulation/kernel/fault-plan.ts";
import { Network } from "../simulation/kernel/remote.ts";
import { pick, type Random, seededRandom } from "../simulation/kernel/seeded-random.ts";
import { Process, Simulation } from "../simulation/kernel/simulation.ts";
import { SCRIPTS, type ScriptServer, told } from "../simulation/sql-scripts.ts";
import { simulatedConnection } from "../simulation/world/database.ts";
import { RedisServer, simulatedRedis } from "../simulation/world/redis.ts";
import { World } from "../simulation/world/world.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type GateBench, openGate } from "../support/gate.ts";

const COMMANDS = 2_500;
const BATCH_MAX = 8;
const EPOCHS = 3;
const USERS = 9;
const REQUESTS = 3;
const UNITS_MAX = 7;
const PAGES_MAX = 100;
const OWNERS = ["node-1:a", "node-2:b"] as const;
const PARTS = ["stock", "window", "users", "pending", "journal"] as const;
const WINDOWS_H = { open: 0, before: 2, after: -2 } as const;
const WINDOWS = ["open", "open", "open", "before", "after"] as const;
const HOUR_MS = 3_600_000;
const COMMAND_TIMEOUT_MS = 10_000;
const FIRST_ID = 7_000_000_000_000_000;
const SALE_ID = "7";

/** Where a life of a gate is led. */
interface GateSide {
  readonly gate: Gate;
  now(): number;
  /** The server throws a key away. */
  evict(epoch: GateEpoch, part: string): Promise<void>;
  /** The key's mark is of another run of the server. */
  age(epoch: GateEpoch, part: "users" | "pending"): Promise<void>;
}

/** Commands drawn from a seed and what they were answered, in an order that any server may give. */
class GateLife {
  readonly #side: GateSide;
  readonly #random: Random;
  readonly #tried: { readonly userId: string; readonly orderId: string }[] = [];
  readonly #versions = new Map<number, string>();
  #lastId = FIRST_ID;

  constructor(side: GateSide, seed: number) {
    this.#side = side;
    this.#random = seededRandom(seed);
  }

  async run(): Promise<readonly unknown[]> {
    const answers: unknown[] = [];
    for (let epoch = 1; epoch <= EPOCHS; epoch += 1) await this.#load(this.#epochOf(epoch));
    for (let count = 0; count < COMMANDS; count += 1) answers.push(await this.#command());
    for (let epoch = 1; epoch <= EPOCHS; epoch += 1) {
      answers.push([await this.#state(this.#epochOf(epoch)), await this.#held(epoch)]);
    }
    return answers;
  }

  async #command(): Promise<unknown> {
    const epoch = this.#epochOf(1 + this.#below(EPOCHS));
    const kind = this.#below(100);
    if (kind < 48) return await this.#admit(epoch);
    if (kind < 58) return await this.#settle(epoch);
    if (kind < 78) return await this.#giveBack(epoch);
    if (kind < 85) return await this.#state(epoch);
    if (kind < 90) return await this.#pending(epoch);
    if (kind < 92) return await this.#held(epoch.epoch);
    if (kind < 97) return await this.#load(epoch);
    return await this.#disturb(epoch);
  }

  async #admit(epoch: GateEpoch): Promise<unknown> {
    const candidates = Array.from({ length: 1 + this.#below(BATCH_MAX) }, () => this.#candidate());
    const settled = this.#below(3) === 0 ? this.#someOrders() : [];
    const owner = must(pick(this.#random, OWNERS), "an owner");
    this.#tried.push(...candidates);
    return ["admit", await this.#side.gate.admit({ ...epoch, owner, settled, candidates })];
  }

  #candidate(): GateCandidate {
    const userId = this.#user();
    const requestId = `${userId}:r${this.#below(REQUESTS)}`;
    const known = this.#tried.findLast((one) => one.userId === userId);
    const isKnown = known !== undefined && this.#below(6) === 0;
    return { userId, requestId, orderId: isKnown ? known.orderId : this.#newId() };
  }

  #someOrders(): readonly string[] {
    const last = this.#tried.slice(-2 * BATCH_MAX);
    return last.filter(() => this.#below(2) === 0).map(({ orderId }) => orderId);
  }

  async #settle(epoch: GateEpoch): Promise<unknown> {
    await this.#side.gate.settle({ ...epoch, orderIds: this.#someOrders() });
    return ["settle"];
  }

  async #giveBack(epoch: GateEpoch): Promise<unknown> {
    const one = pick(this.#random, this.#tried.slice(-8 * BATCH_MAX));
    if (one === undefined) return ["give back"];
    const { userId, orderId } = one;
    return ["give back", await this.#side.gate.giveBack({ ...epoch, userId, orderId })];
  }

  /** A version is only ever compared with the one before. */
  async #state(epoch: GateEpoch): Promise<unknown> {
    const state = await this.#side.gate.state(epoch);
    if (state === undefined) return ["state"];
    const before = this.#versions.get(epoch.epoch);
    this.#versions.set(epoch.epoch, state.version);
    const isMarked = state.version !== "";
    return ["state", state.stock, state.pending, isMarked, before === state.version];
  }

  async #pending(epoch: GateEpoch): Promise<unknown> {
    const found = new Set<string>();
    let cursor: string | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const { members, next } = await this.#side.gate.pending({ ...epoch, cursor });
      for (const one of members) found.add(`${one.orderId} ${one.userId} ${one.owner}`);
      if (next === undefined) return ["pending", [...found].sort()];
      cursor = next;
    }
    throw new Error("the pages of pending ones do not end");
  }

  async #held(epoch: number): Promise<unknown> {
    const { userIds, next } = await this.#side.gate.holders(this.#epochOf(epoch));
    return ["holders", [...new Set(userIds)].sort(), next];
  }

  async #load(epoch: GateEpoch): Promise<unknown> {
    const units = this.#below(UNITS_MAX + 1);
    const holders = Array.from({ length: USERS }, (_, index) => this.#userOf(index))
      .filter(() => this.#below(4) === 0)
      .slice(0, units)
      .map((userId) => {
        const requestId = this.#below(2) === 0 ? `${userId}:r${this.#below(REQUESTS)}` : undefined;
        return { userId, orderId: this.#newId(), requestId };
      });
    this.#tried.push(...holders);
    const now = this.#side.now() + HOUR_MS * WINDOWS_H[pick(this.#random, WINDOWS) ?? "open"];
    const window = { startsAtMs: now - HOUR_MS, endsAtMs: now + HOUR_MS };
    this.#versions.delete(epoch.epoch);
    const half = holders.length >> 1;
    const all = pages(holders.slice(0, half), holders.slice(half));
    return await this.#side.gate.load({ ...epoch, ...window, units, holders: all }).then(
      () => ["load"],
      (error: unknown) => ["load", (error as Error).message],
    );
  }

  async #disturb(epoch: GateEpoch): Promise<unknown> {
    const what = this.#below(8);
    this.#versions.delete(epoch.epoch);
    if (what === 0) {
      await this.#side.age(epoch, "users");
      await this.#side.age(epoch, "pending");
    } else if (what <= 2) {
      await this.#side.evict(epoch, must(pick(this.#random, PARTS), "a key"));
    } else await this.#side.gate.drop(epoch);
    return ["disturb", what];
  }

  #epochOf(epoch: number): GateEpoch {
    return { saleId: SALE_ID, epoch };
  }

  #user(): string {
    return this.#userOf(this.#below(USERS));
  }

  #userOf(index: number): string {
    return String(FIRST_ID - 1 - index);
  }

  #newId(): string {
    this.#lastId += 1;
    return String(this.#lastId);
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }
}

async function* pages<T>(...all: readonly (readonly T[])[]): AsyncGenerator<readonly T[]> {
  for (const page of all) yield await Promise.resolve(page);
}

function realGate(bench: GateBench): GateSide {
  const { redis, gate } = bench;
  return {
    gate,
    now: () => Date.now(),
    evict: async (epoch, part) => {
      await redis.del(bench.keyOf(epoch, part));
    },
    age: async (epoch, part) => {
      const key = bench.keyOf(epoch, part);
      if ((await redis.hget(key, "run")) !== null) await redis.hset(key, "run", "0".repeat(40));
    },
  };
}

function simulatedGate(simulation: Simulation): GateSide {
  const namespace = "simulated";
  const server = new RedisServer(() => simulation.preciseWallMs);
  const network = new Network(simulation, fixedFaults([]));
  const now = (): number => simulation.wallMs;
  const redis = simulatedRedis(network, server, new Process("node"));
  const clock = { now, monotonic: () => simulation.now };
  const keyOf = ({ saleId, epoch }: GateEpoch, part: string): string =>
    `${namespace}:seckill:{${saleId}}:e${epoch}:${part}`;
  return {
    gate: createGate({ redis, namespace, clock }),
    now,
    evict: (epoch, part) => {
      server.drop(keyOf(epoch, part));
      return Promise.resolve();
    },
    age: (epoch, part) => {
      const key = keyOf(epoch, part);
      if (server.hash(key).has("run")) server.write(key, [["run", "of another run"]]);
      return Promise.resolve();
    },
  };
}

/** Long enough for a machine with much other work; nothing here is about patience. */
const PATIENCE =
  "SET SESSION innodb_lock_wait_timeout = 50 /*M!, max_statement_time = 0, idle_transaction_timeout = 0 */";
const QUERY_TIMEOUT_MS = 40_000;
const BLOCKED_TIMEOUT_MS = 30_000;
/** The server shows locks as they were at most this long ago, unless it is asked more often. */
const LOCKS_POLL_MS = 120;
const WAITING = `SELECT 1 FROM information_schema.innodb_trx
  WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = ?`;

function realServer(schema: TestDatabase): ScriptServer {
  const threads = new Map<DatabaseConnection, string>();
  const address = databaseCredentials(schema.settings, "seckill");
  return {
    async open() {
      const session = await MysqlConnection.open(address, QUERY_TIMEOUT_MS, undefined);
      await session.query({ name: "patience", sql: PATIENCE });
      const found = await session.query({ name: "thread", sql: "SELECT CONNECTION_ID() AS id" });
      threads.set(session, (found as { id: string }[])[0]!.id);
      return session;
    },
    async untilBlocked(session, isOver) {
      const isBlocked = async (): Promise<boolean> => {
        const [found] = await schema.admin.query(WAITING, [threads.get(session)]);
        return isOver() || (found as unknown[]).length > 0;
      };
      const what = "the statement waits for a lock";
      const timeoutMs = BLOCKED_TIMEOUT_MS;
      await eventually(isBlocked, { timeoutMs, what, intervalMs: LOCKS_POLL_MS });
    },
  };
}

/** Virtual; many times what a statement takes, and less than a lock is waited for. */
const SIMULATED_BLOCKED_MS = 100;

function simulatedServer(world: World): ScriptServer {
  const { simulation, network, sql: server } = world;
  const options = { server, network, process: new Process("node") };
  return {
    open: () => Promise.resolve(simulatedConnection(options, "seckill")),
    untilBlocked: () => simulation.sleep(SIMULATED_BLOCKED_MS),
  };
}

/** What a run must have met, or it has compared little. */
const OUTCOMES = [
  "admitted",
  "sold_out",
  "already",
  "in_progress",
  "not_loaded",
  "not_started",
  "ended",
  "given_back",
  "not_holder",
  "disturbed",
];

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

describe("the simulated servers", function () {
  this.timeout(120_000);

  describe("Redis under the gate", () => {
    let bench: GateBench;
    before(async () => {
      bench = await openGate({ commandTimeoutMs: COMMAND_TIMEOUT_MS });
    });
    after(() => bench.close());

    it(`answers as the real one in ${COMMANDS} commands`, async () => {
      const seed = Number(process.env["PROPERTY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
      console.log(`      seed ${seed}`);
      const real = await new GateLife(realGate(bench), seed).run();
      const simulation = new Simulation(seed);
      const life = new GateLife(simulatedGate(simulation), seed);
      const simulated = await simulation.drive(life.run());
      const at = real.findIndex((answer, index) => !isSame(answer, simulated[index]));
      assert.deepEqual(simulated[at], real[at], `answer ${at} of seed ${seed}`);
      assert.equal(simulated.length, real.length);
      for (const outcome of OUTCOMES) assert.ok(JSON.stringify(real).includes(outcome), outcome);
    });
  });

  describe("SQL", () => {
    let schema: TestDatabase;
    before(async () => {
      schema = await testDatabase({ services: ["seckill"] });
    });
    after(() => schema.drop());

    for (const [index, script] of SCRIPTS.entries()) {
      it(script.name, async () => {
        const key = 1_000 * (index + 1);
        const real = await told(realServer(schema), script, key);
        const world = new World(new Simulation(index), fixedFaults([]));
        const simulated = await world.simulation.drive(told(simulatedServer(world), script, key));
        assert.deepEqual(simulated, real);
      });
    }
  });
});
