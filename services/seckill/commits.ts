// From "through the gate" to "committed": one commit queue per sale, so that sales never share a
// transaction, and one attempt per order that goes on until its end is known.
//
//   start ─▶ queue ─▶ commit ─┬─ committed, refused, void ────────────────────▶ told, settled
//                ▲            ├─ fenced ─▶ through the gate again, ≤ 2 × ─▶ ─┐
//                └────────────┴─ not known: the same ids again ◀─────────────┘
//
// An attempt whose commit is not known after GIVE_UP_MS is made void, by a row: only a row can refuse
// a commit that may still be under way. Nobody is told "refused" before that row is there.
import { LRUCache } from "lru-cache";
import { type CommitQueue, createCommitQueue } from "../../mixins/database/commit-queue.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { ADMISSION_BATCH_MAX, type Refusal } from "../contracts/seckill.ts";
import { isPlatformError } from "../contracts/errors.ts";
import { type Backoff, backoffDelayMs } from "../kernel/backoff.ts";
import { type Clock, MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import { commitAdmissions, voidAdmissions } from "./admission.repository.ts";
import type { AdmitCommand, CommitOutcome } from "./domain/admission.ts";
import type { Sale } from "./domain/sale.ts";
import { SECKILL_FAILPOINTS } from "./failpoints.ts";

/** Winners that may wait for the next commits of one sale; one more is told to come back. */
const QUEUE_LENGTH_MAX = 8_192;
export const GIVE_UP_MS = 30 * SECOND_MS;
const RERUNS_MAX = 2;
const RETRY: Backoff = { baseMs: 50, maxMs: SECOND_MS };
/** Outcomes of this node's own commits, for whoever asks soon after. */
const REMEMBERED_MAX = 100_000;
const REMEMBERED_MS = MINUTE_MS;
/** Share of the newest commit in the mean time of a commit. */
const COMMIT_TIME_WEIGHT = 0.2;

/** `unknown`: this node stopped before it knew; the row tells. */
export type FinalOutcome =
  Exclude<CommitOutcome, { kind: "fenced" }> | { readonly kind: "unknown" };

export interface EndedRefusal {
  readonly refusal: Refusal;
  /** By this node's wall clock. */
  readonly atMs: number;
}

export interface Attempt {
  readonly saleId: string;
  readonly userId: string;
  readonly orderId: string;
  /** Resolves when the outcome is known; never rejects. */
  readonly done: Promise<FinalOutcome>;
}

export interface CommitsDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly failpoint: Failpoint;
  /** Outcomes kept for whoever asks soon after; REMEMBERED_MAX unless given. */
  readonly rememberedMax?: number;
  /** Lets a fenced winner through again, under the same order id. */
  readonly rerun: (saleId: string, command: AdmitCommand) => Promise<AdmitCommand | FinalOutcome>;
  /** After a commit: the sale as it is then, and how many the gate had let through in vain. */
  readonly onCommitted: (sale: Sale, guardRefused: number) => void;
  /** The end of an attempt that was last let through as `command`. */
  readonly onEnd: (saleId: string, command: AdmitCommand, outcome: FinalOutcome) => void;
}

export interface Commits {
  /** The attempt of this order; begun when there is none on this node. */
  start(saleId: string, command: AdmitCommand): Attempt;
  /** The running attempt of this buyer on this node. */
  runningOf(saleId: string, userId: string): Attempt | undefined;
  attempt(orderId: string): Attempt | undefined;
  /** How an attempt of this node ended, for about a minute. */
  outcome(orderId: string): FinalOutcome | undefined;
  /** What this buyer's last attempt on this node was refused with, for about a minute. */
  refusalOf(saleId: string, userId: string): EndedRefusal | undefined;
  /** About how long one more winner of this sale would wait, in milliseconds. */
  waitMs(saleId: string): number;
  /** Commits what waits and refuses what comes later. */
  drain(): Promise<void>;
}

export function createCommits(deps: CommitsDeps): Commits {
  return new SaleCommits(deps);
}

type Queue = CommitQueue<AdmitCommand, CommitOutcome>;

class SaleCommits implements Commits {
  readonly #deps: CommitsDeps;
  readonly #queues = new Map<string, Queue>();
  readonly #byOrder = new Map<string, Attempt>();
  readonly #byBuyer = new Map<string, Attempt>();
  readonly #ended: LRUCache<string, FinalOutcome>;
  /** Refusals leave no row, and a buyer who was told to wait asks for them. */
  readonly #refusedBuyers: LRUCache<string, EndedRefusal>;
  readonly #commitMs = new Map<string, number>();
  #isDraining = false;

  constructor(deps: CommitsDeps) {
    this.#deps = deps;
    const { rememberedMax: max = REMEMBERED_MAX } = deps;
    this.#ended = new LRUCache({ max, ttl: REMEMBERED_MS });
    this.#refusedBuyers = new LRUCache({ max, ttl: REMEMBERED_MS });
  }

  start(saleId: string, command: AdmitCommand): Attempt {
    const { orderId, userId } = command;
    const running = this.#byOrder.get(orderId);
    if (running !== undefined) return running;
    const attempt: Attempt = {
      saleId,
      userId,
      orderId,
      done: this.#drive(saleId, command).then((outcome) => {
        this.#ended.set(orderId, outcome);
        this.#byOrder.delete(orderId);
        const key = buyerKey(saleId, userId);
        if (this.#byBuyer.get(key)?.orderId === orderId) this.#byBuyer.delete(key);
        if (outcome.kind === "refused") {
          const { refusal } = outcome;
          this.#refusedBuyers.set(key, { refusal, atMs: this.#deps.clock.now() });
        }
        return outcome;
      }),
    };
    this.#byOrder.set(orderId, attempt);
    this.#byBuyer.set(buyerKey(saleId, userId), attempt);
    return attempt;
  }

  runningOf(saleId: string, userId: string): Attempt | undefined {
    return this.#byBuyer.get(buyerKey(saleId, userId));
  }

  attempt(orderId: string): Attempt | undefined {
    return this.#byOrder.get(orderId);
  }

  outcome(orderId: string): FinalOutcome | undefined {
    return this.#ended.get(orderId);
  }

  refusalOf(saleId: string, userId: string): EndedRefusal | undefined {
    return this.#refusedBuyers.get(buyerKey(saleId, userId));
  }

  waitMs(saleId: string): number {
    const { waiting } = this.#queue(saleId).stats;
    return Math.ceil(waiting / ADMISSION_BATCH_MAX) * (this.#commitMs.get(saleId) ?? 0);
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#queues.values()].map((queue) => queue.drain()));
  }

  async #drive(saleId: string, first: AdmitCommand): Promise<FinalOutcome> {
    const { clock, log } = this.#deps;
    const startedAt = clock.monotonic();
    let command = first;
    let reruns = 0;
    for (let tries = 1; ; tries += 1) {
      try {
        const outcome = await this.#queue(saleId).submit(command);
        if (outcome.kind !== "fenced") return this.#end(saleId, command, outcome);
        reruns += 1;
        if (reruns > RERUNS_MAX) return await this.#giveUp(saleId, command);
        const next = await this.#deps.rerun(saleId, command);
        if ("kind" in next) return this.#end(saleId, command, next);
        command = next;
      } catch (error) {
        const isOver = clock.monotonic() - startedAt > GIVE_UP_MS || this.#isDraining;
        if (isOver) return await this.#giveUp(saleId, command);
        log.warn({ err: error, sale_id: saleId, order_id: command.orderId }, "a commit is unknown");
        await this.#pause(tries);
      }
    }
  }

  #end(saleId: string, command: AdmitCommand, outcome: FinalOutcome): FinalOutcome {
    this.#deps.onEnd(saleId, command, outcome);
    return outcome;
  }

  /** Until the row is there nothing is known; a node that stops leaves it to the reaper. */
  async #giveUp(saleId: string, command: AdmitCommand): Promise<FinalOutcome> {
    for (let tries = 1; ; tries += 1) {
      try {
        const states = await voidAdmissions(this.#deps.database, saleId, [command]);
        const kind = states.get(command.orderId) === "void" ? "void" : "committed";
        return this.#end(saleId, command, { kind });
      } catch (error) {
        if (isPlatformError(error, "SECKILL_SALE_NOT_FOUND")) return { kind: "void" };
        if (this.#isDraining) return { kind: "unknown" };
        await this.#pause(tries);
      }
    }
  }

  #queue(saleId: string): Queue {
    const known = this.#queues.get(saleId);
    if (known !== undefined) return known;
    const queue: Queue = createCommitQueue({
      name: "seckill.admit",
      batchSizeMax: ADMISSION_BATCH_MAX,
      queueLengthMax: QUEUE_LENGTH_MAX,
      commit: (commands: readonly AdmitCommand[]) => this.#commit(saleId, commands),
    });
    this.#queues.set(saleId, queue);
    return queue;
  }

  async #commit(
    saleId: string,
    commands: readonly AdmitCommand[],
  ): Promise<readonly CommitOutcome[]> {
    const { database, clock, failpoint, onCommitted } = this.#deps;
    const startedAt = clock.monotonic();
    await failpoint(SECKILL_FAILPOINTS.admitAfterGate);
    const { outcomes, sale, guardRefused } = await commitAdmissions(database, saleId, commands);
    await failpoint(SECKILL_FAILPOINTS.admitAfterCommit);
    this.#measure(saleId, clock.monotonic() - startedAt);
    if (sale !== undefined) onCommitted(sale, guardRefused);
    return outcomes;
  }

  #measure(saleId: string, ms: number): void {
    const mean = this.#commitMs.get(saleId) ?? ms;
    this.#commitMs.set(saleId, mean + (ms - mean) * COMMIT_TIME_WEIGHT);
  }

  #pause(tries: number): Promise<void> {
    const ms = backoffDelayMs(RETRY, tries, this.#deps.random);
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}

function buyerKey(saleId: string, userId: string): string {
  return `${saleId}:${userId}`;
}
