// Pulls deliveries of one durable consumer in batches. One request waits for the first message,
// takes what else is there, up to the batch's size, and ends: a lone event is not held back, a
// crowd comes as one batch. (The client's own consume() prefetches without bound by what is settled
// and fetch() waits until the batch is full.)
import { createInbox, type Msg, nanos, type NatsConnection } from "nats";
import { SECOND_MS } from "../../services/kernel/clock.ts";
import { type StreamMessage, streamMessage } from "./stream-message.ts";
import type { Subscription } from "./topology.ts";

/** How long one request waits for a first message. */
const PULL_EXPIRES_MS = 20 * SECOND_MS;
/** The server proves this often that the consumer exists and the request is alive. */
const HEARTBEAT_MS = SECOND_MS;
/** Silence after which the request counts as lost: server away, store wiped, consumer deleted. */
const SILENCE_MAX_MS = 2.5 * HEARTBEAT_MS;

const STATUS_HEARTBEAT = 100;
const STATUS_NO_MESSAGES = 404;
const STATUS_TIMEOUT = 408;

export interface PullResult {
  readonly messages: readonly StreamMessage[];
  /** The consumer may be gone: make sure that it exists before the next pull. */
  readonly isLost: boolean;
}

export interface Pull {
  /** Up to `batchSize` deliveries, none after about 20 s without any. One call at a time. */
  next(batchSize: number): Promise<PullResult>;
  /** Ends the call under way with what it has and every later one with nothing. */
  stop(): void;
}

export function createPull(connection: NatsConnection, subscription: Subscription): Pull {
  return new BatchPull(connection, subscription);
}

class BatchPull implements Pull {
  readonly #connection: NatsConnection;
  readonly #requestSubject: string;
  readonly #inbox = createInbox();
  readonly #unsubscribe: () => void;
  #received: StreamMessage[] = [];
  #wanted = 0;
  #finish: ((isLost: boolean) => void) | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(connection: NatsConnection, { stream, durable }: Subscription) {
    this.#connection = connection;
    this.#requestSubject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`;
    const deliveries = connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error !== null) this.#finish?.(true);
        else this.#take(message);
      },
    });
    this.#unsubscribe = () => deliveries.unsubscribe();
  }

  async next(batchSize: number): Promise<PullResult> {
    if (this.#isStopped || this.#connection.isClosed()) return { messages: [], isLost: true };
    this.#wanted = batchSize;
    const ended = new Promise<boolean>((resolve) => {
      this.#finish = resolve;
    });
    this.#request(batchSize);
    this.#heard();
    const isLost = await ended;
    clearTimeout(this.#watchdog);
    this.#finish = undefined;
    const messages = this.#received;
    this.#received = [];
    return { messages, isLost };
  }

  stop(): void {
    this.#isStopped = true;
    if (!this.#connection.isClosed()) this.#unsubscribe();
    this.#finish?.(true);
  }

  #request(batchSize: number): void {
    const body = {
      batch: batchSize,
      expires: nanos(PULL_EXPIRES_MS),
      no_wait: true,
      idle_heartbeat: nanos(HEARTBEAT_MS),
    };
    this.#connection.publish(this.#requestSubject, JSON.stringify(body), { reply: this.#inbox });
  }

  #take(message: Msg): void {
    this.#heard();
    const status = message.headers?.code ?? 0;
    if (status === 0) {
      this.#received.push(streamMessage(message));
      if (this.#received.length >= this.#wanted) this.#finish?.(false);
      return;
    }
    if (status === STATUS_HEARTBEAT) return;
    this.#finish?.(status !== STATUS_TIMEOUT && status !== STATUS_NO_MESSAGES);
  }

  #heard(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#finish?.(true), SILENCE_MAX_MS);
  }
}
