// Delivers one event to one consumer, effectively once. Per batch of deliveries:
//
//   1. a message that is not as catalogued becomes a dead letter at once;
//   2. one transaction: receipts (inbox), apply() for the events not had before, COMMIT;
//   3. only then the acknowledgements. A crash between 2 and 3 brings the events again, and the
//      receipts make that a no-op.
//
// When a batch fails it is tried event by event, so that a poison event holds nobody up: it comes
// back with growing delay and after the last try becomes a dead letter, in a committed transaction,
// before the stream is told to forget it. Repeated deliveries are never mixed with first ones, so a
// poison event spoils no fresh batch twice. A database that is away is not the event's fault: it
// costs no try, the runner waits.
//
// Tries are counted here, per node. The server's count of deliveries says nothing about them: it
// grows with every delivery given back, and nats-server 2.9 raises it for a message that waits to be
// delivered again whenever it looks for somebody to take it (seen: 320 in two seconds).
import { LRUCache } from "lru-cache";
import type { EventOwner } from "../../services/contracts/events.ts";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { backoffDelayMs } from "../../services/kernel/backoff.ts";
import { SECOND_MS, systemClock } from "../../services/kernel/clock.ts";
import type { Failpoint } from "../../services/kernel/failpoint.ts";
import { runInContext } from "../context.ts";
import { isLockConflict } from "../database/database-error.ts";
import type { Database } from "../database/database.ts";
import { receiveOnce } from "../inbox/inbox.ts";
import type { Log } from "../log.ts";
import type { ConsumerSpans } from "../tracing/consumer-spans.ts";
import { traceparentOfSpan } from "../tracing/traceparent.ts";
import type { ConsumedEvent, EventConsumer } from "./channel.ts";
import { type NewDeadLetter, resolveApplied, storeDeadLetter } from "./dead-letter.ts";
import { type Delivery, groupDeliveries } from "./delivery.ts";
import type { ConsumerLimits } from "./limits.ts";
import type { Pull } from "./pull.ts";
import type { StreamMessage } from "./stream-message.ts";
import { Alarm, within } from "./timing.ts";
import { type Subscription, subscriptionOf } from "./topology.ts";

/** How long to wait for the message server before asking again without having been told. */
const CONNECT_POLL_MS = SECOND_MS;

/** The runner's part of the message bus. */
export interface ConsumerBus {
  readonly namespace: string;
  ensureStream(owner: EventOwner): Promise<void>;
  doubtStream(owner: EventOwner): void;
  pull(subscription: Subscription): Pull;
  onConnected(listener: () => void): () => void;
}

export interface RunnerOptions {
  readonly consumer: EventOwner;
  readonly definition: EventConsumer;
  readonly database: Database;
  readonly bus: ConsumerBus;
  readonly limits: ConsumerLimits;
  readonly random: () => number;
  readonly failpoint: Failpoint;
  readonly log: Log;
  /** Undefined when nothing is traced. */
  readonly spans?: ConsumerSpans | undefined;
}

export interface RunnerStats {
  readonly event: string;
  /** Events applied, those found to be had before, failed tries, dead letters: since the start. */
  readonly applied: number;
  readonly duplicates: number;
  readonly failed: number;
  readonly deadLettered: number;
  /** Events that came more than once, and events given back to come again, since the start. */
  readonly redelivered: number;
  readonly retried: number;
  /** Transactions committed; applied / batches is the mean size of a batch. */
  readonly batches: number;
  /** Age of the youngest event of the last batch when it was applied, by this node's clock. */
  readonly lastLagMs: number;
}

/** One batch at a time; what lanes share is counted once. */
interface Lane {
  readonly alarm: Alarm;
  pull: Pull | undefined;
}

export class ConsumerRunner {
  readonly #options: RunnerOptions;
  readonly #subscription: Subscription;
  readonly #lanes: readonly Lane[];
  readonly #tries: LRUCache<string, number>;
  readonly #counts = {
    applied: 0,
    duplicates: 0,
    failed: 0,
    deadLettered: 0,
    redelivered: 0,
    retried: 0,
    batches: 0,
  };
  #lastLagMs = 0;
  #unsubscribe: (() => void) | undefined;
  #running: Promise<unknown> | undefined;
  #isStopping = false;
  #isOutOfTime = false;
  /** Turns in a row in which a server was away. */
  #outages = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { bus, definition, consumer, limits } = options;
    this.#tries = new LRUCache({ max: limits.failingEventsMax });
    this.#subscription = subscriptionOf(bus.namespace, definition.event, consumer);
    const { lanes = 1 } = definition;
    this.#lanes = Array.from({ length: lanes }, () => ({ alarm: new Alarm(), pull: undefined }));
  }

  start(): void {
    // A pull that was open when the connection broke is not known to the server any more.
    this.#unsubscribe = this.#options.bus.onConnected(() => {
      this.#wakeLanes();
    });
    this.#running = Promise.all(this.#lanes.map((lane) => this.#run(lane)));
  }

  /** Finishes the batch in work, gives back what has not been begun. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#unsubscribe?.();
    this.#wakeLanes();
    await within(this.#running ?? Promise.resolve(), this.#options.limits.stopTimeoutMs).catch(
      () => {
        this.#isOutOfTime = true;
      },
    );
  }

  stats(): RunnerStats {
    const { event } = this.#options.definition;
    return { event, ...this.#counts, lastLagMs: this.#lastLagMs };
  }

  #wakeLanes(): void {
    for (const { pull, alarm } of this.#lanes) {
      pull?.stop();
      alarm.ring();
    }
  }

  async #run(lane: Lane): Promise<void> {
    const { bus, log, definition } = this.#options;
    while (!this.#isStopping) {
      try {
        await bus.ensureStream(this.#subscription.owner);
        lane.pull = bus.pull(this.#subscription);
        await this.#consume(lane.pull, lane.alarm);
      } catch (error) {
        log.debug({ err: error, event: definition.event }, "message server is away");
        await lane.alarm.wait(CONNECT_POLL_MS);
      } finally {
        lane.pull?.stop();
      }
    }
  }

  /** Until the pull is lost or stopped. */
  async #consume(pull: Pull, alarm: Alarm): Promise<void> {
    const { definition, limits, random } = this.#options;
    let isLost = false;
    while (!isLost) {
      const result = await pull.next(
        Math.min(limits.batchSizeMax, definition.batchSizeMax ?? Number.POSITIVE_INFINITY),
      );
      isLost = result.isLost;
      if (this.#isStopping) giveBack(result.messages);
      else if (result.messages.length > 0) await this.#work(result.messages);
      if (this.#outages > 0 && !this.#isStopping) {
        await alarm.wait(backoffDelayMs(limits.backoff, this.#outages, random));
      }
    }
    this.#options.bus.doubtStream(this.#subscription.owner);
  }

  /** Settles every message, whatever happens, or leaves it to be delivered again. */
  async #work(messages: readonly StreamMessage[]): Promise<void> {
    const { definition, limits, log } = this.#options;
    const { malformed, groups } = groupDeliveries(definition.event, messages);
    const unsettled = new Set(messages);
    const heartbeat = setInterval(() => {
      for (const message of unsettled) message.working();
    }, limits.workingIntervalMs);
    const settle = (delivery: Delivery, how: (message: StreamMessage) => void): void => {
      for (const message of delivery.messages) {
        unsettled.delete(message);
        how(message);
      }
    };
    try {
      for (const { source, ...letter } of malformed) {
        await this.#bury({ ...letter, tries: 1 });
        unsettled.delete(source);
        source.term();
      }
      for (const group of groups) {
        if (group[0]?.isRepeated === true) this.#counts.redelivered += group.length;
        await this.#settleGroup(group, settle);
      }
      this.#outages = 0;
    } catch (error) {
      this.#outages += 1;
      log.warn({ err: error, event: definition.event }, "consumer waits for a server");
      this.#counts.retried += unsettled.size;
      for (const message of unsettled) message.nak(this.#retryDelayMs(this.#outages));
    } finally {
      clearInterval(heartbeat);
    }
  }

  /** Throws only when a server is away; what has been settled by then stays settled. */
  async #settleGroup(group: readonly Delivery[], settle: Settle): Promise<void> {
    const acknowledge = (message: StreamMessage): void => message.ack();
    try {
      await this.#apply(group);
      for (const delivery of group) settle(delivery, acknowledge);
      return;
    } catch (error) {
      if (isOutage(error)) throw error;
      const [only, ...others] = group;
      if (only !== undefined && others.length === 0) {
        await this.#settleFailed(only, error, settle);
        return;
      }
    }
    for (const delivery of group) {
      if (this.#isOutOfTime) settle(delivery, (message) => message.nak());
      else await this.#settleGroup([delivery], settle);
    }
  }

  async #settleFailed(delivery: Delivery, error: unknown, settle: Settle): Promise<void> {
    const { definition, limits, log } = this.#options;
    const { event, origin } = delivery;
    const tries = (this.#tries.get(event.id) ?? 0) + 1;
    this.#tries.set(event.id, tries);
    this.#counts.failed += 1;
    const about = { err: error, event: definition.event, event_id: event.id, tries };
    if (tries < limits.triesMax) {
      log.warn(about, "event could not be applied, will be tried again");
      this.#counts.retried += 1;
      settle(delivery, (message) => message.nak(this.#retryDelayMs(tries)));
      return;
    }
    log.error(about, "event became a dead letter");
    const message = delivery.text();
    await this.#bury({ eventId: event.id, message, origin, error, tries });
    this.#tries.delete(event.id);
    settle(delivery, (each) => each.term());
  }

  async #bury(letter: Omit<NewDeadLetter, "consumer" | "eventName">): Promise<void> {
    const { consumer, database, definition } = this.#options;
    await storeDeadLetter(database, { ...letter, consumer, eventName: definition.event });
    this.#counts.deadLettered += 1;
  }

  /** Receipts and effects in one transaction; the effects of events had before are skipped. */
  async #apply(group: readonly Delivery[]): Promise<void> {
    const { spans, definition } = this.#options;
    const started = spans?.start(definition.event, group);
    const first = group[0] as Delivery;
    const { event, origin } = started?.lead ?? first;
    const context = {
      requestId: origin.requestId ?? event.id,
      traceparent: started === undefined ? origin.traceparent : traceparentOfSpan(started.span),
    };
    try {
      await runInContext(context, () => this.#applyInContext(group));
    } catch (error) {
      started?.span.setError(error);
      throw error;
    } finally {
      started?.span.finish();
    }
  }

  async #applyInContext(group: readonly Delivery[]): Promise<void> {
    const { database, definition, failpoint } = this.#options;
    const applied = await database.transaction(`consume.${definition.event}`, (tx) =>
      this.#applyInside(tx, group),
    );
    this.#count(group, applied);
    if (this.#tries.size > 0) for (const { event } of group) this.#tries.delete(event.id);
    await failpoint("consumer.committed");
    await this.#tellCommitted(applied);
  }

  async #applyInside(
    tx: Parameters<EventConsumer["apply"]>[0],
    group: readonly Delivery[],
  ): Promise<readonly ConsumedEvent[]> {
    const { consumer, definition } = this.#options;
    const ids = group.map((delivery) => delivery.event.id);
    const fresh = await receiveOnce(tx, consumer, ids);
    const events = group.map(({ event }) => event).filter((event) => fresh.has(event.id));
    if (events.length > 0) await definition.apply(tx, events);
    if (group.some((delivery) => delivery.isRepeated)) await resolveApplied(tx, consumer, ids);
    return events;
  }

  #count(group: readonly Delivery[], applied: readonly ConsumedEvent[]): void {
    this.#counts.batches += 1;
    this.#counts.applied += applied.length;
    this.#counts.duplicates += group.length - applied.length;
    const youngest = applied.at(-1);
    if (youngest !== undefined) this.#lastLagMs = systemClock.now() - youngest.occurredAt.getTime();
  }

  /** Hints; the events are applied whatever comes of them. */
  async #tellCommitted(applied: readonly ConsumedEvent[]): Promise<void> {
    const { definition, log } = this.#options;
    if (applied.length === 0 || definition.committed === undefined) return;
    try {
      await definition.committed(applied);
    } catch (error) {
      log.warn({ err: error, event: definition.event }, "hint after the commit failed");
    }
  }

  #retryDelayMs(tries: number): number {
    const { limits, random } = this.#options;
    return backoffDelayMs(limits.backoff, tries, random);
  }
}

type Settle = (delivery: Delivery, how: (message: StreamMessage) => void) => void;

/** Whether the failure says something about a server and nothing about the event. */
function isOutage(error: unknown): boolean {
  return (
    isLockConflict(error) ||
    isPlatformError(error, "OVERLOADED", "SERVICE_UNAVAILABLE", "OUTCOME_UNKNOWN", "SHUTTING_DOWN")
  );
}

function giveBack(messages: readonly StreamMessage[]): void {
  for (const message of messages) message.nak();
}
