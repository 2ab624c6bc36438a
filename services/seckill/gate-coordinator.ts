// Keeps the gates of running sales: loads them, loads them again under a new epoch when they were lost,
// and compares them with the database. One node at a time does it (a lease), but nothing depends on
// that: an epoch is loaded by who made it, and a second coordinator only makes a newer one.
//
//   mode db, wait over      ─▶ T1 [lock sale: epoch + 1, loading]  COMMIT
//   mode loading, left over     holders in pages, the stock last
//   mode redis, wrong       ─▶ T2 [lock sale: redis, if still this epoch and loading]  COMMIT
//
//   load fails              ─▶ db, and a longer wait
//   mode redis, gate lost   ─▶ db, and a wait that doubles when it comes again within a minute
import { repeatEvery } from "../../mixins/channels/repeat.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Lease } from "../../mixins/database/lease.ts";
import type { Log } from "../../mixins/log.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import { unchanged } from "../contracts/decision.ts";
import { must } from "../kernel/assert.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import { endLoading, startLoading } from "./domain/gate-epoch.ts";
import type { Sale } from "./domain/sale.ts";
import { SECKILL_FAILPOINTS } from "./failpoints.ts";
import {
  abandonLoading,
  findGatedSales,
  type GatedSale,
  liveHolders,
} from "./gate-epoch.repository.ts";
import { compareGate } from "./gate-compare.ts";
import type { Gate, GateEpoch } from "./gate.ts";
import { leaveGate, updateSale } from "./sale.repository.ts";

const TURN_INTERVAL_MS = 200;
const COMPARE_INTERVAL_MS = 5 * SECOND_MS;
/** Sales that are loaded at once; a large one must not keep the small ones waiting. */
const LOADS_AT_ONCE_MAX = 4;
/** Epochs before the loaded one whose keys are deleted with it; older ones end by themselves. */
const EPOCHS_DROPPED_MAX = 8;

const SALE_MODES = ["redis", "db", "loading"] as const satisfies readonly Sale["mode"][];

export interface CoordinatorDeps {
  readonly database: Database;
  readonly gate: Gate;
  readonly lease: Pick<Lease, "isHeld">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "increment" | "observe" | "set">;
  readonly failpoint: Failpoint;
  /** Tells the other nodes that a sale has changed; may be lost. */
  readonly onChanged: (saleId: string) => void;
}

export interface GateCoordinator {
  start(): void;
  /** Resolves when the turn under way is over. */
  stop(): Promise<void>;
  /** One look at all running sales; does nothing without the lease. */
  turn(): Promise<void>;
}

export function createGateCoordinator(deps: CoordinatorDeps): GateCoordinator {
  const coordinator = new Coordinator(deps);
  const repeated = repeatEvery(TURN_INTERVAL_MS, deps.log, () => coordinator.turn());
  return {
    start: () => repeated.start(),
    stop: () => repeated.stop(),
    turn: () => coordinator.turn(),
  };
}

class Coordinator {
  readonly #deps: CoordinatorDeps;
  /** When the gates were last compared with the database, by the monotonic clock. */
  #comparedAt: number;

  constructor(deps: CoordinatorDeps) {
    this.#deps = deps;
    this.#comparedAt = deps.clock.monotonic();
  }

  async turn(): Promise<void> {
    const { database, gate, lease, clock } = this.#deps;
    // A process that cannot see the gate leaves the judgement to those that use it.
    if (!lease.isHeld() || gate.runId() === undefined) {
      this.#show([]);
      return;
    }
    const sales = await findGatedSales(database);
    this.#show(sales);
    await this.#eachOf(sales, (sale) => this.#leaveOfOtherRun(sale));
    const due = sales.filter(({ isDue }) => isDue);
    if (await this.#answers(due[0])) await this.#eachOf(due, (sale) => this.#load(sale));
    if (clock.monotonic() - this.#comparedAt < COMPARE_INTERVAL_MS) return;
    this.#comparedAt = clock.monotonic();
    const gated = sales.filter(({ mode }) => mode === "redis");
    if (await this.#answers(gated[0])) await this.#eachOf(gated, (sale) => this.#compare(sale));
  }

  /** Of all nodes, only the one that keeps the gates shows any. */
  #show(sales: readonly GatedSale[]): void {
    const { metrics } = this.#deps;
    for (const mode of SALE_MODES) {
      const those = sales.filter((sale) => sale.mode === mode);
      metrics.set("app_seckill_sales", { mode }, those.length);
    }
    const newest = Math.max(0, ...sales.map(({ epoch }) => epoch));
    metrics.set("app_seckill_gate_epoch", undefined, newest);
  }

  /** A few at once; one that fails does not keep the others from it. */
  async #eachOf(
    sales: readonly GatedSale[],
    work: (sale: GatedSale) => Promise<void>,
  ): Promise<void> {
    const { log } = this.#deps;
    const queue = sales.values();
    const workOff = async (): Promise<void> => {
      for (const sale of queue) {
        await work(sale).catch((error: unknown) => {
          log.warn({ err: error, sale_id: sale.id, epoch: sale.epoch }, "a gate waits");
        });
      }
    };
    await Promise.all(Array.from({ length: LOADS_AT_ONCE_MAX }, workOff));
  }

  /** Asked before any epoch is spent: a gate that does not answer cannot be loaded. */
  async #answers(sale: GatedSale | undefined): Promise<boolean> {
    if (sale === undefined) return false;
    return await this.#deps.gate.state(epochOf(sale)).then(
      () => true,
      () => false,
    );
  }

  async #leaveOfOtherRun(sale: GatedSale): Promise<void> {
    const runId = this.#deps.gate.runId();
    if (sale.mode !== "redis" || runId === undefined || sale.gateRunId === runId) return;
    await this.#leave(sale, "the gate was restarted");
  }

  async #leave(sale: GatedSale, why: string): Promise<void> {
    const { database, log, metrics, onChanged } = this.#deps;
    if (!(await leaveGate(database, sale))) return;
    metrics.increment("app_seckill_gate_left_total");
    log.error({ sale_id: sale.id, epoch: sale.epoch }, `${why}; the database admits`);
    onChanged(sale.id);
  }

  async #load(seen: GatedSale): Promise<void> {
    const { database, gate, clock, log, metrics, failpoint, onChanged } = this.#deps;
    const startedAt = clock.monotonic();
    const { sale, isChange } = await updateSale(database, seen.id, (known) =>
      unchanged(startLoading(known, seen)),
    );
    if (!isChange) return;
    try {
      await failpoint(SECKILL_FAILPOINTS.loadAfterEpoch);
      await this.#fill(sale);
      await failpoint(SECKILL_FAILPOINTS.loadAfterStock);
      const gateRunId = must(gate.runId(), "the run the gate was loaded into");
      const { isChange: isOurs } = await updateSale(database, sale.id, (known) =>
        unchanged(endLoading(known, { epoch: sale.epoch, gateRunId })),
      );
      if (!isOurs) return;
    } catch (error) {
      metrics.increment("app_seckill_gate_loads_total", { result: "failed" });
      await abandonLoading(database, sale);
      throw error;
    }
    const pausedMs = clock.monotonic() - startedAt;
    metrics.increment("app_seckill_gate_loads_total", { result: "loaded" });
    metrics.observe("app_seckill_gate_pause_ms", {}, pausedMs);
    log.info({ sale_id: sale.id, epoch: sale.epoch, pausedMs }, "the gate is loaded");
    onChanged(sale.id);
    await this.#dropBefore(sale);
  }

  async #fill(sale: Sale): Promise<void> {
    await this.#deps.gate.load({
      ...epochOf(sale),
      startsAtMs: sale.startsAt.getTime(),
      endsAtMs: sale.endsAt.getTime(),
      units: sale.quantity - sale.returned,
      holders: liveHolders(this.#deps.database, sale.id),
    });
  }

  async #dropBefore({ id: saleId, epoch: loaded }: Sale): Promise<void> {
    const first = Math.max(1, loaded - EPOCHS_DROPPED_MAX);
    for (let epoch = first; epoch < loaded; epoch += 1) {
      await this.#deps.gate.drop({ saleId, epoch });
    }
  }

  async #compare(sale: GatedSale): Promise<void> {
    const { log, metrics } = this.#deps;
    const found = await compareGate(this.#deps, epochOf(sale));
    if (found.kind === "unclear") return;
    if (found.kind === "lost") {
      await this.#leave(sale, "the gate was lost");
      return;
    }
    const { stock: gateStock, remaining } = found;
    if (gateStock === remaining) return;
    metrics.increment("app_seckill_gate_healed_total");
    log.error(
      { sale_id: sale.id, epoch: sale.epoch, gateStock, remaining },
      "the gate was wrong; it is loaded again",
    );
    await this.#load(sale);
  }
}

function epochOf({ id, epoch }: Pick<Sale, "id" | "epoch">): GateEpoch {
  return { saleId: id, epoch };
}
