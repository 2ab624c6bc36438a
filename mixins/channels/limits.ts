// Bounds of the relay and of consumers. Tests hand in shorter times; the product uses these.
import type { Backoff } from "../../services/kernel/backoff.ts";
import { DAY_MS, MINUTE_MS, SECOND_MS } from "../../services/kernel/clock.ts";

export interface RelayLimits {
  /** Events claimed and published at once. */
  readonly batchSizeMax: number;
  /** How long a claim keeps others away; above the time a publish may take. */
  readonly claimMs: number;
  /** Pause after an empty turn without a hint: doubles from the first to the second value. */
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  /** Pause after a turn in which the database or the message server failed. */
  readonly backoff: Backoff;
}

export const RELAY_LIMITS: RelayLimits = {
  batchSizeMax: 256,
  claimMs: 15 * SECOND_MS,
  pollMinMs: 250,
  pollMaxMs: SECOND_MS,
  backoff: { baseMs: 100, maxMs: 5 * SECOND_MS },
};

export interface ConsumerLimits {
  /** Events applied in one transaction. */
  readonly batchSizeMax: number;
  /** Tries of an event on one node before it becomes a dead letter; an away server does not count. */
  readonly triesMax: number;
  /** Delay before an event is tried again. */
  readonly backoff: Backoff;
  /** How often an event in work tells the server that it still is. */
  readonly workingIntervalMs: number;
  /** A stop waits this long for the batch in work. */
  readonly stopTimeoutMs: number;
  /** Failing events whose tries are remembered; one that is forgotten has all its tries again. */
  readonly failingEventsMax: number;
}

export const CONSUMER_LIMITS: ConsumerLimits = {
  batchSizeMax: 256,
  triesMax: 8,
  backoff: { baseMs: SECOND_MS, maxMs: MINUTE_MS },
  workingIntervalMs: 10 * SECOND_MS,
  stopTimeoutMs: 8 * SECOND_MS,
  failingEventsMax: 10_000,
};

export interface RetentionLimits {
  readonly intervalMs: number;
  /** Published events are kept longer than the stream keeps them. */
  readonly outboxKeepMs: number;
  /** Receipts are kept longer than any event can come back: one that is republished on the last day
   * of its outbox row stays in the stream for as long as the stream keeps it. */
  readonly inboxKeepMs: number;
  /** Ended sagas, for whoever looks into what became of one. */
  readonly sagaKeepMs: number;
  /** Dead letters that were replayed or discarded; open ones wait for ever. */
  readonly deadLetterKeepMs: number;
  readonly batchSizeMax: number;
  /** Batches of one turn; what is left waits for the next turn. */
  readonly batchesMax: number;
}

export const RETENTION_LIMITS: RetentionLimits = {
  intervalMs: 10 * MINUTE_MS,
  outboxKeepMs: 8 * DAY_MS,
  inboxKeepMs: 16 * DAY_MS,
  sagaKeepMs: 30 * DAY_MS,
  deadLetterKeepMs: 90 * DAY_MS,
  batchSizeMax: 1_000,
  batchesMax: 50,
};

/** How often the backlog is counted for stats(). */
export const BACKLOG_INTERVAL_MS = 2 * SECOND_MS;

export interface ChannelLimits {
  readonly relay: RelayLimits;
  readonly consumer: ConsumerLimits;
  readonly retention: RetentionLimits;
}

export const CHANNEL_LIMITS: ChannelLimits = {
  relay: RELAY_LIMITS,
  consumer: CONSUMER_LIMITS,
  retention: RETENTION_LIMITS,
};
