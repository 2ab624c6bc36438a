// What the gate of one epoch should be, in plain sets and numbers. Written from the port's contract and
// not from the scripts; it knows nothing of Redis but that keys may vanish one by one.
import type {
  GateAnswer,
  GateCandidate,
  GateHolder,
  GateOutcome,
  GiveBackOutcome,
} from "../../services/seckill/gate.ts";

export type ModelWindow = "before" | "open" | "after";
export type Part = "stock" | "window" | "users" | "pending" | "journal";

export interface ModelLoad {
  readonly units: number;
  readonly window: ModelWindow;
  readonly holders: readonly GateHolder[];
}

interface Held {
  readonly orderId: string;
  readonly requestId: string;
}

interface Pending {
  readonly userId: string;
  readonly owner: string;
}

export class GateModel {
  readonly parts = new Set<Part>();
  /** False once the keys are of another run of the server. */
  isOfThisRun = false;
  isPendingMarked = false;
  window: ModelWindow = "open";
  units = 0;
  stock = 0;
  /** Admissions and give-backs so far. */
  changes = 0;
  readonly users = new Map<string, Held>();
  readonly pending = new Map<string, Pending>();

  /** False when the load must be refused. */
  load({ units, window, holders }: ModelLoad): boolean {
    if (this.parts.has("stock")) return this.#isUsersKnown();
    this.drop();
    for (const { userId, orderId, requestId = "" } of holders) {
      this.users.set(userId, { orderId, requestId });
    }
    for (const part of ["stock", "window", "users", "pending", "journal"] as const) {
      this.parts.add(part);
    }
    this.isOfThisRun = true;
    this.isPendingMarked = true;
    this.window = window;
    this.units = units;
    this.stock = units - holders.length;
    this.changes += 1;
    return true;
  }

  admit(
    candidates: readonly GateCandidate[],
    { owner, settled }: { readonly owner: string; readonly settled: readonly string[] },
  ): readonly GateAnswer[] {
    if (!this.#isUsersKnown() || !this.parts.has("stock") || !this.parts.has("window")) {
      return candidates.map(() => ({ outcome: "not_loaded", orderId: undefined }));
    }
    this.settle(settled);
    const before = this.stock;
    const answers = candidates.map((one) => this.#admitOne(one, owner));
    if (this.stock !== before) this.changes += 1;
    return answers;
  }

  settle(orderIds: readonly string[]): void {
    for (const orderId of orderIds) this.pending.delete(orderId);
  }

  giveBack(userId: string, orderId: string): GiveBackOutcome {
    if (!this.#isUsersKnown() || !this.parts.has("stock")) return "not_loaded";
    this.pending.delete(orderId);
    if (this.users.get(userId)?.orderId !== orderId) return "not_holder";
    this.users.delete(userId);
    this.stock += 1;
    this.changes += 1;
    return "given_back";
  }

  isReadable(): boolean {
    return this.#isUsersKnown() && this.parts.has("stock") && this.isPendingMarked;
  }

  evict(part: Part): void {
    this.parts.delete(part);
    if (part === "users") this.users.clear();
    if (part !== "pending") return;
    this.pending.clear();
    this.isPendingMarked = false;
  }

  drop(): void {
    for (const part of [...this.parts]) this.evict(part);
    this.users.clear();
    this.pending.clear();
    this.isPendingMarked = false;
  }

  #isUsersKnown(): boolean {
    return this.parts.has("users") && this.isOfThisRun;
  }

  #admitOne({ userId, requestId, orderId }: GateCandidate, owner: string): GateAnswer {
    const held = this.users.get(userId);
    if (held !== undefined) {
      const isPending = this.pending.has(held.orderId);
      const isSame = held.requestId === requestId || held.orderId === orderId;
      if (isSame && isPending) this.pending.set(held.orderId, { userId, owner });
      const outcome = isSame ? "admitted" : isPending ? "in_progress" : "already";
      return { outcome, orderId: held.orderId };
    }
    const refusal = this.#refusal();
    if (refusal !== undefined) return { outcome: refusal, orderId: undefined };
    this.stock -= 1;
    this.users.set(userId, { orderId, requestId });
    this.pending.set(orderId, { userId, owner });
    return { outcome: "admitted", orderId };
  }

  #refusal(): GateOutcome | undefined {
    if (this.window === "before") return "not_started";
    if (this.window === "after") return "ended";
    return this.stock === 0 ? "sold_out" : undefined;
  }
}
