// The gate of a flash sale: who may try to commit. It lives in a server that may forget everything at any
// moment, so it is never a ledger: "you have it" is said only after the database commit, and a gate
// that was lost is never repaired but loaded again under a new epoch.
//
// Every method is idempotent by (sale, epoch, order id) and rejects when the server does not answer:
// the outcome is then unknown, and the same call with the same ids may simply be sent again.
// A gate is loaded for one epoch by one run of the server; after a restart, with its old data or
// without, every answer for that epoch is "not_loaded", for ever.

/** Buyers in one admission. */
export const GATE_BATCH_MAX = 256;
/** Ids in one settle, and members in one page of pending ones. */
export const GATE_PAGE_MAX = 500;

/**
 * - admitted: a unit is set aside; commit `orderId`. The same attempt (request id or order id) gets
 *   this again, also when it is committed already.
 * - in_progress: another request of this buyer was admitted and its commit is not settled.
 * - already: this buyer has a committed order.
 * - not_loaded: nothing was done for anybody of the batch; this epoch's gate is not there.
 */
export type GateOutcome =
  "admitted" | "sold_out" | "already" | "in_progress" | "not_loaded" | "not_started" | "ended";

export interface GateCandidate {
  readonly userId: string;
  /** The same id again is the same attempt. */
  readonly requestId: string;
  /** The order this buyer gets when admitted now. */
  readonly orderId: string;
}

export interface GateAnswer {
  readonly outcome: GateOutcome;
  /** Set for admitted, already and in_progress; may differ from the candidate's. */
  readonly orderId: string | undefined;
}

export interface GateHolder {
  readonly userId: string;
  readonly orderId: string;
  /** Where it is known, so that the same request is still the same attempt under a new epoch. */
  readonly requestId?: string | undefined;
}

export interface GateEpoch {
  readonly saleId: string;
  readonly epoch: number;
}

export interface GateLoad extends GateEpoch {
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  /** Units the sale has in all. The gate's stock becomes `units` minus the holders that were loaded. */
  readonly units: number;
  /** Live admissions, in pages of at most GATE_PAGE_MAX. */
  readonly holders: AsyncIterable<readonly GateHolder[]>;
}

export interface GateAdmission extends GateEpoch {
  /** Node and incarnation that will commit the winners, as in `heartbeat`. */
  readonly owner: string;
  /** Orders whose commit is known; they leave the pending ones first. At most GATE_PAGE_MAX. */
  readonly settled: readonly string[];
  /** At most GATE_BATCH_MAX; the same buyer may occur more than once. */
  readonly candidates: readonly GateCandidate[];
}

export interface PendingMember {
  readonly orderId: string;
  readonly userId: string;
  readonly owner: string;
}

export interface PendingPage {
  readonly members: readonly PendingMember[];
  /** Where the next page starts; undefined after the last. */
  readonly next: string | undefined;
}

export interface HolderPage {
  readonly userIds: readonly string[];
  /** Where the next page starts; undefined after the last. */
  readonly next: string | undefined;
}

export interface GateState {
  /** Units nobody was admitted for. */
  readonly stock: number;
  /** Admitted and not settled. */
  readonly pending: number;
  /** Grows with every admission and give-back: the same twice = nothing happened in between. */
  readonly version: string;
}

export type GiveBackOutcome = "given_back" | "not_holder" | "not_loaded";

export interface Gate {
  /**
   * Makes an epoch's gate: holders first, the stock last; until then it answers "not_loaded". Does
   * nothing for an epoch that is loaded. Rejects when the load was disturbed: start a new epoch.
   */
  load(sale: GateLoad): Promise<void>;

  /**
   * One answer per candidate, in order: first come, first served. Sent a second time on a time-out. Lets
   * nobody in once this process has stopped waiting for the answer, however late the server hears of it.
   */
  admit(input: GateAdmission): Promise<readonly GateAnswer[]>;

  /** Takes committed orders off the pending ones. A lost settle is harmless. At most GATE_PAGE_MAX. */
  settle(input: GateEpoch & { readonly orderIds: readonly string[] }): Promise<void>;

  /**
   * Returns the unit of a cancelled or voided order, after the database did. not_holder: it was
   * returned already, or this epoch was loaded without it.
   */
  giveBack(
    input: GateEpoch & { readonly userId: string; readonly orderId: string },
  ): Promise<GiveBackOutcome>;

  /** Admissions not settled yet. A member may come twice over the pages, and none is left out. */
  pending(input: GateEpoch & { readonly cursor?: string | undefined }): Promise<PendingPage>;

  /**
   * Buyers with a unit, settled or not. None is left out over the pages while `state().version` stays;
   * one may come twice. Says nothing about whether the epoch is loaded: `state` does.
   */
  holders(input: GateEpoch & { readonly cursor?: string | undefined }): Promise<HolderPage>;

  /** undefined when this epoch is not loaded. */
  state(epoch: GateEpoch): Promise<GateState | undefined>;

  /** Deletes what an epoch left; only for epochs the database has gone past. */
  drop(epoch: GateEpoch): Promise<void>;

  /** Says that `owner` is alive; to be repeated every GATE_HEARTBEAT_MS. */
  heartbeat(owner: string): Promise<void>;
  aliveOwners(owners: readonly string[]): Promise<ReadonlySet<string>>;

  /** The run of the server this process is connected to; undefined without a connection or before its answer. */
  runId(): string | undefined;
}

export const GATE_HEARTBEAT_MS = 1_000;
/** An owner whose last heartbeat is older than this may be dead. */
export const GATE_HEARTBEAT_TTL_MS = 5_000;
