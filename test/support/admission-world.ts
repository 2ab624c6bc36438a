// The whole admission of one sale on real servers: nodes that let buyers in, the coordinator of its gate, the
// reaper and the give-backs - each of which can die between two steps. A dead node's calls never return, neither to
// the gate nor to the database: what was sent has happened, what was not never will.
import type { ConsumedEvent } from "../../mixins/channels/channel.ts";
import { type Database, sql } from "../../mixins/database/database.ts";
import { must } from "../../services/kernel/assert.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { type Admitter, createAdmitter } from "../../services/seckill/admit.ts";
import type { Sale } from "../../services/seckill/domain/sale.ts";
import { createGateCoordinator } from "../../services/seckill/gate-coordinator.ts";
import { createGate } from "../../services/seckill/gate.store.ts";
import type { GateState } from "../../services/seckill/gate.ts";
import { type GiveBackDeps, giveBackConsumer } from "../../services/seckill/give-back.ts";
import { createOutcomes, type Outcomes } from "../../services/seckill/outcomes.ts";
import { createReaper } from "../../services/seckill/reaper.ts";
import { createSaleCache } from "../../services/seckill/sale-cache.ts";
import { findSale, leaveGate } from "../../services/seckill/sale.repository.ts";
import { silentLog as log, type TestDatabase } from "./database.ts";
import { eventually } from "./eventually.ts";
import { type GateBench, newId } from "./gate.ts";
import { type Fate, mortal, MortalSpot } from "./mortal.ts";

export const NODES = 2;
const OUTCOME_WAIT_MS = 5_000;
const IDLE_TIMEOUT_MS = 60_000;
const HEALING = { timeoutMs: 30_000, what: "the workers have healed the sale" } as const;
const HOUR_MS = 3_600_000;
/** Longer than an owner must be silent to count as dead, and than two comparisons are apart. */
const LONG_MS = 10_000;

const ADMISSIONS = sql(
  "test.admissions",
  "SELECT order_id, user_id, state FROM admissions WHERE sale_id = ?",
);

/** What a buyer was told. */
export interface Told {
  readonly userId: string;
  /** `unknown` promises nothing. */
  readonly kind: "promised" | "already" | "sold_out" | "unknown";
  readonly orderId: string | undefined;
}

export interface Attempt {
  readonly userId: string;
  readonly requestId: string;
}

export interface AdmissionRow {
  readonly order_id: string;
  readonly user_id: string;
  readonly state: "live" | "given_back" | "void";
}

export interface WorldParts {
  readonly schemas: TestDatabase;
  readonly bench: GateBench;
  readonly units: number;
}

interface Node {
  readonly owner: string;
  readonly admitter: Admitter;
  readonly outcomes: Outcomes;
  readonly fault: MortalSpot;
}

export class AdmissionWorld {
  readonly saleId = newId();
  readonly units: number;
  readonly #parts: WorldParts;
  readonly #database: Database;
  readonly #nodes: Node[] = [];
  readonly #owners: string[] = [];
  readonly #buyers = new Set<string>();
  #workerFault = new MortalSpot();
  #skewMs = 0;

  private constructor(parts: WorldParts) {
    this.#parts = parts;
    this.units = parts.units;
    this.#database = parts.schemas.database("seckill");
  }

  /** A published sale without a gate, and two nodes. */
  static async open(parts: WorldParts): Promise<AdmissionWorld> {
    const world = new AdmissionWorld(parts);
    await world.#publish();
    for (let index = 0; index < NODES; index += 1) world.#nodes.push(world.#startNode());
    return world;
  }

  /** Many buyers in one batch on one node; those of a node that dies know nothing. */
  async buy(index: number, attempts: readonly Attempt[]): Promise<readonly Told[]> {
    const node = must(this.#nodes[index], "a node");
    for (const { userId } of attempts) this.#buyers.add(userId);
    const told = await Promise.race([
      this.#toldBy(node, attempts),
      node.fault.died.then(() => attempts.map(({ userId }) => unknown(userId))),
    ]);
    if (node.fault.isDead && this.#nodes[index] === node) this.#nodes[index] = this.#startNode();
    return told;
  }

  /** The next batch of this node ends at `spot`. */
  arm(index: number, spot: string, how: Fate): void {
    must(this.#nodes[index], "a node").fault.arm(spot, how);
  }

  /** The next step of the workers that comes by `spot` ends there. */
  armWorker(spot: string, how: Fate): void {
    this.#workerFault.arm(spot, how);
  }

  /** The order is cancelled: its event is applied, and the gate is told. */
  async giveBack(userId: string, orderId: string): Promise<void> {
    const consumer = giveBackConsumer(this.#giveBacks());
    const event = this.#cancelled(userId, orderId);
    await this.#database.transaction("test.give-back", (tx) => consumer.apply(tx, [event]));
    await this.#asWorker(() => consumer.committed?.([event]));
  }

  /** The coordinator looks; waits that failures have imposed are over. */
  async coordinate(): Promise<void> {
    const { schemas } = this.#parts;
    await schemas.admin.query("UPDATE ??.sales SET gate_after = NULL WHERE id = ?", [
      schemas.nameOf("seckill"),
      this.saleId,
    ]);
    const coordinator = createGateCoordinator(this.#worker());
    // Its last comparison is long ago.
    this.#skewMs += LONG_MS;
    await this.#asWorker(() => coordinator.turn());
  }

  /** Leaves the gate as a node does that has lost it. */
  async leaveGate(): Promise<void> {
    const { epoch } = await this.sale();
    await leaveGate(this.#database, { id: this.saleId, epoch });
  }

  /** The gate forgets everything, signs of life included. */
  async emptyGate(): Promise<void> {
    const { redis, namespace } = this.#parts.bench;
    const keys = await redis.keys(`${namespace}:seckill:{${this.saleId}}:*`);
    const owners = this.#owners.map((owner) => `${namespace}:seckill:owner:${owner}`);
    await redis.unlink(...keys, ...owners);
  }

  /** What the workers do again and again, long after whatever happened. */
  async settle(): Promise<void> {
    this.#workerFault.disarm();
    for (const { fault } of this.#nodes) fault.disarm();
    await Promise.all(this.#nodes.map(({ admitter }) => this.#ended(admitter)));
    await this.#forgetTheDead();
    // On a busy machine a step may run into its time-out; the next turn goes on. What is never healed is
    // found by who compares.
    await eventually(async () => {
      await this.#workersTurn();
      return await this.#isHealed();
    }, HEALING).catch(() => undefined);
  }

  async #workersTurn(): Promise<void> {
    const reaper = createReaper(this.#worker());
    await this.coordinate();
    // Silence is noticed in one turn and believed in a later one.
    await reaper.turn();
    this.#skewMs += LONG_MS;
    await reaper.turn();
    await this.#asWorker(() =>
      giveBackConsumer(this.#giveBacks()).committed?.([this.#cancelled("0", "0")]),
    );
    await this.coordinate();
  }

  async #isHealed(): Promise<boolean> {
    const [{ mode, admitted }, gate] = [await this.sale(), await this.gateState()];
    return mode === "redis" && gate?.pending === 0 && gate.stock === this.units - admitted;
  }

  async sale(): Promise<Sale> {
    return must(await findSale(this.#database, this.saleId), "the sale");
  }

  async gateState(): Promise<GateState | undefined> {
    const { epoch } = await this.sale();
    return await this.#parts.bench.gate.state({ saleId: this.saleId, epoch });
  }

  /** Every admission that ever was. */
  admissions(): Promise<AdmissionRow[]> {
    return this.#database.rows<AdmissionRow>(ADMISSIONS, [this.saleId]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ admitter }) => admitter.stop()));
  }

  async #publish(): Promise<void> {
    const { schemas } = this.#parts;
    const now = Date.now();
    await schemas.admin.query(
      `INSERT INTO ??.sales (id, sku_id, product_id, name, title, price, currency, quantity, status,
         attempt, mode, epoch, starts_at, ends_at, created_by)
       VALUES (?, 1, 1, 'cup', 'cups', 100, 'CNY', ?, 'published', 1, 'db', 1, ?, ?, 1)`,
      [
        schemas.nameOf("seckill"),
        this.saleId,
        this.units,
        new Date(now - HOUR_MS),
        new Date(now + HOUR_MS),
      ],
    );
  }

  #startNode(): Node {
    const owner = `node-${newId()}`;
    this.#owners.push(owner);
    const fault = new MortalSpot();
    const database = mortal(this.#database, fault);
    const { redis, namespace } = this.#parts.bench;
    const gate = mortal(createGate({ redis, namespace, clock: systemClock }), fault);
    const admitter = createAdmitter({
      database,
      gate,
      owner,
      sales: createSaleCache(database, systemClock),
      ids: { next: newId },
      clock: systemClock,
      log,
      random: Math.random,
      failpoint: fault.failpoint,
      metrics: { increment: () => undefined },
      onEvents: () => undefined,
    });
    const outcomes = createOutcomes(database, admitter.commits, systemClock);
    return { owner, admitter, outcomes, fault };
  }

  /** As a gateway asks: all in one batch, then what became of the winners. */
  async #toldBy({ admitter, outcomes }: Node, attempts: readonly Attempt[]): Promise<Told[]> {
    const candidates = attempts.map(({ userId, requestId }) => ({
      user_id: userId,
      request_id: requestId,
    }));
    const items = await admitter.admit(this.saleId, candidates);
    const open = items.flatMap(({ outcome, order_id: id }) =>
      (outcome === "pending" || outcome === "in_progress") && id !== null ? [id] : [],
    );
    const ends = new Map(
      (await outcomes.of(this.saleId, open, OUTCOME_WAIT_MS)).map((end) => [end.order_id, end]),
    );
    return attempts.map(({ userId }, index) => {
      const { outcome, order_id: orderId } = must(items[index], "an answer per buyer");
      if (outcome === "committed")
        return { userId, kind: "promised", orderId: must(orderId, "id") };
      if (outcome === "already") return { userId, kind: "already", orderId: must(orderId, "id") };
      if (outcome === "sold_out") return { userId, kind: "sold_out", orderId: undefined };
      const end = ends.get(orderId ?? "");
      if (end?.outcome === "committed") return { userId, kind: "promised", orderId: end.order_id };
      const isSoldOut = end?.outcome === "refused" && end.refusal === "sold_out";
      return isSoldOut ? { userId, kind: "sold_out", orderId: undefined } : unknown(userId);
    });
  }

  #worker() {
    const { failpoint } = this.#workerFault;
    const clock = {
      now: () => systemClock.now(),
      monotonic: () => performance.now() + this.#skewMs,
    };
    return {
      database: mortal(this.#database, this.#workerFault),
      gate: mortal(this.#parts.bench.gate, this.#workerFault),
      lease: { isHeld: () => true },
      clock,
      log,
      metrics: {
        increment: () => undefined,
        observe: () => undefined,
        set: () => undefined,
      },
      failpoint,
      onChanged: () => undefined,
    };
  }

  #giveBacks(): GiveBackDeps {
    return { ...this.#worker(), onEvents: () => undefined };
  }

  /** One step of a worker: it may fail, and it may die and be followed by a new one. */
  async #asWorker(step: () => unknown): Promise<void> {
    const fault = this.#workerFault;
    const work = Promise.resolve()
      .then(step)
      .catch(() => undefined);
    await Promise.race([work, fault.died]);
    if (fault.isDead && this.#workerFault === fault) this.#workerFault = new MortalSpot();
  }

  #cancelled(userId: string, orderId: string): ConsumedEvent<"order.cancelled.v1"> {
    return {
      id: `order.${newId()}`,
      name: "order.cancelled.v1",
      aggregateId: orderId,
      aggregateVersion: 3,
      payload: {
        order_id: orderId,
        user_id: userId,
        sale_id: this.saleId,
        reason: "buyer_cancelled",
        lines: [],
      },
      occurredAt: new Date(),
    } as unknown as ConsumedEvent<"order.cancelled.v1">;
  }

  /** Nothing of any buyer is under way on this node any more. */
  async #ended({ commits }: Admitter): Promise<void> {
    const isOver = (userId: string): boolean => !commits.runningOf(this.saleId, userId);
    await eventually(() => [...this.#buyers].every(isOver), {
      timeoutMs: IDLE_TIMEOUT_MS,
      what: "every attempt of a living node has its end",
    });
  }

  /** Their last sign of life has run out. */
  async #forgetTheDead(): Promise<void> {
    const { redis, namespace } = this.#parts.bench;
    const alive = new Set(this.#nodes.map(({ owner }) => owner));
    for (const owner of this.#owners) {
      if (!alive.has(owner)) await redis.del(`${namespace}:seckill:owner:${owner}`);
    }
  }
}

function unknown(userId: string): Told {
  return { userId, kind: "unknown", orderId: undefined };
}
