// Publishes committed events of one schema. One node leads per schema (a database lease); each turn:
//
//   claim    short transaction: the oldest unpublished rows, FOR UPDATE SKIP LOCKED, claimed_until
//   publish  outside any transaction, all at once, each acknowledged by the stream
//   mark     published_at, by id; what was not acknowledged is given back for the next turn
//
// A crash anywhere leaves claimed rows, which are taken again when the claim has run out and are
// published under the same message id: the stream drops most repetitions, the inbox every one.
// The lease only saves work and keeps order; two leaders at once would do no harm.
import { backoffDelayMs } from "../../services/kernel/backoff.ts";
import type { Failpoint } from "../../services/kernel/failpoint.ts";
import type { EventOwner } from "../../services/contracts/events.ts";
import { encodeEvent, type EventMessage } from "../channels/envelope.ts";
import type { RelayLimits } from "../channels/limits.ts";
import { Alarm } from "../channels/timing.ts";
import type { Database } from "../database/database.ts";
import type { Log } from "../log.ts";
import { claimOutbox, markPublished, type OutboxRow, releaseClaims } from "./outbox.repository.ts";

/** The relay's part of the message bus. */
export interface RelayBus {
  publish(message: EventMessage): Promise<void>;
  onOutboxHint(owner: EventOwner, listener: () => void): () => void;
  onConnected(listener: () => void): () => void;
}

/** Whether this node may lead. */
export interface Leadership {
  isHeld(): boolean;
}

export interface RelayOptions {
  readonly owner: EventOwner;
  readonly database: Database;
  readonly bus: RelayBus;
  readonly leadership: Leadership;
  readonly limits: RelayLimits;
  readonly random: () => number;
  readonly failpoint: Failpoint;
  readonly log: Log;
  /** Told of events published for the first time. Must not throw. */
  readonly onPublished?: ((rows: readonly OutboxRow[]) => void) | undefined;
}

export interface RelayStats {
  readonly isLeader: boolean;
  /** Events published since the start. */
  readonly published: number;
  /** Publishes that were not acknowledged since the start. */
  readonly failed: number;
}

type Turn = "empty" | "full" | "partial" | "failed";

export class OutboxRelay {
  readonly #options: RelayOptions;
  readonly #alarm = new Alarm();
  readonly #unsubscribe: (() => void)[] = [];
  #running: Promise<void> | undefined;
  #isStopping = false;
  #published = 0;
  #failed = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  start(): void {
    const { bus, owner } = this.#options;
    this.#unsubscribe.push(
      bus.onOutboxHint(owner, () => this.wake()),
      bus.onConnected(() => this.wake()),
    );
    this.#running = this.#run();
  }

  /** Looks at the outbox now. */
  wake(): void {
    this.#alarm.ring();
  }

  /** Resolves when the turn under way is finished. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.wake();
    await this.#running;
  }

  stats(): RelayStats {
    return {
      isLeader: this.#options.leadership.isHeld(),
      published: this.#published,
      failed: this.#failed,
    };
  }

  async #run(): Promise<void> {
    const { limits, leadership } = this.#options;
    let emptyTurns = 0;
    let failedTurns = 0;
    while (!this.#isStopping) {
      const turn = leadership.isHeld() ? await this.#turn() : "empty";
      emptyTurns = turn === "empty" ? emptyTurns + 1 : 0;
      failedTurns = turn === "failed" ? failedTurns + 1 : 0;
      if (turn === "full") continue;
      if (turn === "failed") await this.#rest(failedTurns);
      else await this.#alarm.wait(pollDelayMs(limits, emptyTurns));
    }
  }

  /** A hint does not cut a back-off short: writers give hints all the time. */
  async #rest(failedTurns: number): Promise<void> {
    const { limits, random } = this.#options;
    const until = performance.now() + backoffDelayMs(limits.backoff, failedTurns, random);
    while (!this.#isStopping && performance.now() < until) {
      await this.#alarm.wait(Math.max(1, until - performance.now()));
    }
  }

  async #turn(): Promise<Turn> {
    const { database, limits, log, owner } = this.#options;
    try {
      const rows = await claimOutbox(database, limits.batchSizeMax, limits.claimMs);
      if (rows.length === 0) return "empty";
      const unacknowledged = await this.#publish(rows);
      if (unacknowledged.length > 0) return "failed";
      return rows.length === limits.batchSizeMax ? "full" : "partial";
    } catch (error) {
      log.warn({ err: error, owner }, "outbox relay could not reach the database");
      return "failed";
    }
  }

  /** Returns the ids that the stream did not acknowledge. */
  async #publish(rows: readonly OutboxRow[]): Promise<readonly string[]> {
    const { owner, bus, database, failpoint, log } = this.#options;
    const outcomes = await Promise.allSettled(
      rows.map((row) => bus.publish(encodeEvent(owner, row))),
    );
    await failpoint("outbox.published");
    const published: OutboxRow[] = [];
    const unacknowledged: string[] = [];
    let reason: unknown;
    for (const [index, outcome] of outcomes.entries()) {
      const row = rows[index] as OutboxRow;
      if (outcome.status === "fulfilled") published.push(row);
      else {
        unacknowledged.push(row.id);
        reason = outcome.reason;
      }
    }
    await markPublished(
      database,
      published.map(({ id }) => id),
    );
    this.#published += published.length;
    this.#options.onPublished?.(published.filter(({ publishCount }) => publishCount === 0));
    if (unacknowledged.length > 0) {
      this.#failed += unacknowledged.length;
      log.warn({ err: reason, owner, events: unacknowledged.length }, "events were not published");
      await releaseClaims(database, unacknowledged);
    }
    return unacknowledged;
  }
}

/** Doubles with each empty turn between the two bounds. Milliseconds. */
export function pollDelayMs(
  { pollMinMs, pollMaxMs }: Pick<RelayLimits, "pollMinMs" | "pollMaxMs">,
  emptyTurns: number,
): number {
  return Math.min(pollMaxMs, pollMinMs * 2 ** Math.max(0, Math.min(emptyTurns, 30) - 1));
}
