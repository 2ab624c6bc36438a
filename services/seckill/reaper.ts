// Ends admissions that were let through the gate and whose node will not tell the gate any more: the
// row says what became of them, and where there is none and the node is dead, a `void` row is written
// first. The primary key decides between it and a commit that was only slow.
//
//   row live                 ─▶ settled in the gate
//   row void or given back   ─▶ its unit returns to the gate
//   no row, owner dead       ─▶ void row under the sale's lock ─▶ as the row says then
//   no row, owner alive      ─▶ left alone: a living owner ends its own; void like the others when it is
//                               older than any attempt can be. The gate may have let a buyer through
//                               whose node had given up waiting for its answer and knows no attempt.
import { repeatEvery, type Repeated } from "../../mixins/channels/repeat.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import { readStates, voidAdmissions } from "./admission.repository.ts";
import { GIVE_UP_MS } from "./commits.ts";
import type { AdmissionState } from "./domain/admission.ts";
import { findGatedSales, type GatedSale } from "./gate-epoch.repository.ts";
import { type Gate, GATE_HEARTBEAT_MS, GATE_PAGE_MAX, type PendingMember } from "./gate.ts";
import type { Lease } from "../../mixins/database/lease.ts";

const TURN_INTERVAL_MS = SECOND_MS;
/**
 * An owner without a sign of life is dead when it still has none after this: a server that was
 * emptied has forgotten the signs of the living, who repeat them sooner.
 */
const SILENCE_CONFIRMED_MS = 3 * GATE_HEARTBEAT_MS;
/** A living owner gives its attempts up in half of this. */
const ORPHANED_MS = 2 * GIVE_UP_MS;
/** Members without a row whose first sight is remembered; a forgotten one is waited for anew. */
const OPEN_REMEMBERED_MAX = 100_000;

export interface ReaperDeps {
  readonly database: Database;
  readonly gate: Gate;
  readonly lease: Pick<Lease, "isHeld">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "increment">;
  /** A unit of this sale can be bought again; may be lost. */
  readonly onChanged: (saleId: string) => void;
}

export interface Reaper extends Repeated {
  /** One page of every sale with a gate; does nothing without the lease. */
  turn(): Promise<void>;
}

export function createReaper(deps: ReaperDeps): Reaper {
  const reaper = new PendingReaper(deps);
  const repeated = repeatEvery(TURN_INTERVAL_MS, deps.log, () => reaper.turn());
  return {
    start: () => repeated.start(),
    stop: () => repeated.stop(),
    turn: () => reaper.turn(),
  };
}

/** Tells the gate, again and again, that this process lives. */
export function createHeartbeat(gate: Gate, owner: string, log: Log): Repeated {
  return repeatEvery(GATE_HEARTBEAT_MS, log, async () => {
    await gate.heartbeat(owner).catch((error: unknown) => {
      log.debug({ err: error }, "a sign of life was lost");
    });
  });
}

class PendingReaper {
  readonly #deps: ReaperDeps;
  /** Where the next page of a sale starts. */
  #cursors = new Map<string, string>();
  /** Since when an owner has been missing, by the monotonic clock. */
  #missingSince = new Map<string, number>();
  /** When a member without a row was first seen, by order, oldest first. */
  readonly #openSince = new Map<string, number>();

  constructor(deps: ReaperDeps) {
    this.#deps = deps;
  }

  async turn(): Promise<void> {
    const { database, gate, lease, log } = this.#deps;
    if (!lease.isHeld() || gate.runId() === undefined) return;
    const sales = (await findGatedSales(database)).filter(({ mode }) => mode === "redis");
    const cursors = new Map<string, string>();
    const missing = new Map<string, number>();
    for (const sale of sales) {
      try {
        const next = await this.#reapPage(sale, missing);
        if (next !== undefined) cursors.set(sale.id, next);
      } catch (error) {
        log.warn({ err: error, sale_id: sale.id, epoch: sale.epoch }, "the reaper waits");
      }
    }
    this.#cursors = cursors;
    this.#missingSince = missing;
  }

  /** Returns where the next page starts. */
  async #reapPage(sale: GatedSale, missing: Map<string, number>): Promise<string | undefined> {
    const { gate, database } = this.#deps;
    const epoch = { saleId: sale.id, epoch: sale.epoch };
    const page = await gate.pending({ ...epoch, cursor: this.#cursors.get(sale.id) });
    for (let at = 0; at < page.members.length; at += GATE_PAGE_MAX) {
      const members = page.members.slice(at, at + GATE_PAGE_MAX);
      const states = new Map(
        await readStates(
          database,
          members.map(({ orderId }) => orderId),
        ),
      );
      const lost = await this.#lostOf(members, { states, missing });
      for (const [orderId, state] of await this.#void(sale, lost)) states.set(orderId, state);
      for (const orderId of states.keys()) this.#openSince.delete(orderId);
      await this.#tell(sale, members, states);
    }
    return page.next;
  }

  /** Members without a row that nobody will end any more. */
  async #lostOf(
    members: readonly PendingMember[],
    known: {
      readonly states: ReadonlyMap<string, AdmissionState>;
      readonly missing: Map<string, number>;
    },
  ): Promise<readonly PendingMember[]> {
    const { gate, clock } = this.#deps;
    const open = members.filter(({ orderId }) => !known.states.has(orderId));
    const owners = [...new Set(open.map(({ owner }) => owner))];
    const alive = await gate.aliveOwners(owners);
    const now = clock.monotonic();
    for (const owner of owners) {
      if (!alive.has(owner)) known.missing.set(owner, this.#missingSince.get(owner) ?? now);
    }
    return open.filter(({ orderId, owner }) => {
      const since = known.missing.get(owner) ?? now;
      const isOwnerDead = now - since >= SILENCE_CONFIRMED_MS;
      return isOwnerDead || now - this.#firstSeen(orderId, now) >= ORPHANED_MS;
    });
  }

  #firstSeen(orderId: string, now: number): number {
    const seen = this.#openSince.get(orderId);
    if (seen !== undefined) return seen;
    const [oldest] = this.#openSince.keys();
    if (oldest !== undefined && this.#openSince.size >= OPEN_REMEMBERED_MAX) {
      this.#openSince.delete(oldest);
    }
    this.#openSince.set(orderId, now);
    return now;
  }

  async #void(
    sale: GatedSale,
    lost: readonly PendingMember[],
  ): Promise<ReadonlyMap<string, AdmissionState>> {
    if (lost.length === 0) return new Map();
    const { database, log, metrics } = this.#deps;
    const commands = lost.map(({ orderId, userId }) => ({
      orderId,
      userId,
      requestId: "",
      epoch: sale.epoch,
    }));
    const states = await voidAdmissions(database, sale.id, commands);
    metrics.increment("app_seckill_voided_total", {}, lost.length);
    log.warn({ sale_id: sale.id, epoch: sale.epoch, count: lost.length }, "lost winners are void");
    return states;
  }

  async #tell(
    sale: GatedSale,
    members: readonly PendingMember[],
    states: ReadonlyMap<string, AdmissionState>,
  ): Promise<void> {
    const { gate, onChanged } = this.#deps;
    const epoch = { saleId: sale.id, epoch: sale.epoch };
    const isLive = ({ orderId }: PendingMember): boolean => states.get(orderId) === "live";
    const settled = members.filter(isLive).map(({ orderId }) => orderId);
    await gate.settle({ ...epoch, orderIds: settled });
    const ended = members.filter((one) => states.has(one.orderId) && !isLive(one));
    if (ended.length === 0) return;
    for (const { orderId, userId } of ended) await gate.giveBack({ ...epoch, orderId, userId });
    onChanged(sale.id);
  }
}
