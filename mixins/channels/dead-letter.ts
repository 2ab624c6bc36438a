// Events that a consumer could not apply. They stay where the consumer is, open, until somebody
// replays or discards them; an event is never dropped without a row here.
import { PlatformError } from "../../services/contracts/errors.ts";
import type { EventName } from "../../services/contracts/events.ts";
import { type Database, sql, type Transaction } from "../database/database.ts";
import { receiveOnce } from "../inbox/inbox.ts";
import type { EventOrigin } from "../outbox/outbox.ts";
import type { ConsumedEvent, EventConsumer } from "./channel.ts";
import { decodeEnvelope } from "./envelope.ts";

/** Name, message and the upper part of the stack fit in. */
const ERROR_LENGTH_MAX = 2_000;

const STORE = sql(
  "dead-letter.store",
  `INSERT INTO dead_letters (consumer, event_id, event_name, payload, headers, error, tries)
   VALUES (?, ?, ?, ?, ?, ?, ?)
   ON DUPLICATE KEY UPDATE error = VALUES(error), tries = VALUES(tries)`,
);
const LOCK = sql(
  "dead-letter.lock",
  `SELECT id, event_id AS eventId, event_name AS eventName, payload, status
     FROM dead_letters WHERE id = ? AND consumer = ? FOR UPDATE`,
);
const RESOLVE = sql(
  "dead-letter.resolve",
  "UPDATE dead_letters SET status = ?, resolved_at = NOW(3) WHERE id = ?",
);
const RESOLVE_APPLIED = sql(
  "dead-letter.resolve-applied",
  `UPDATE dead_letters SET status = 'replayed', resolved_at = NOW(3)
    WHERE consumer = ? AND event_id IN (?) AND status = 'open'`,
);
const RECORD_TRY = sql(
  "dead-letter.record-try",
  "UPDATE dead_letters SET tries = tries + 1, error = ? WHERE id = ? AND status = 'open'",
);

export interface NewDeadLetter {
  readonly consumer: string;
  readonly eventId: string;
  readonly eventName: EventName;
  /** The message as it came, whatever it is. */
  readonly message: string;
  readonly origin: EventOrigin;
  readonly error: unknown;
  readonly tries: number;
}

interface DeadLetterRow {
  readonly id: string;
  readonly eventId: string;
  readonly eventName: string;
  readonly payload: string;
  readonly status: "open" | "replayed" | "discarded";
}

/** Stores the event, once per consumer; a later failure of the same event renews error and tries. */
export async function storeDeadLetter(database: Database, letter: NewDeadLetter): Promise<void> {
  await database.transaction("dead-letter.store", async (tx) => {
    await tx.run(STORE, [
      letter.consumer,
      letter.eventId,
      letter.eventName,
      letter.message,
      JSON.stringify(letter.origin),
      describeError(letter.error),
      letter.tries,
    ]);
  });
}

/** Closes dead letters of events that were applied after all. Belongs into that transaction. */
export async function resolveApplied(
  tx: Transaction,
  consumer: string,
  eventIds: readonly string[],
): Promise<void> {
  if (eventIds.length > 0) await tx.run(RESOLVE_APPLIED, [consumer, eventIds]);
}

export interface DeadLetters {
  /**
   * Applies the event now and closes the dead letter; one that was replayed before stays as it is.
   * Errors: DEAD_LETTER_NOT_FOUND, DEAD_LETTER_CLOSED, VALIDATION_FAILED when the message cannot
   * be read, and whatever the consumer throws, which is recorded.
   */
  replay(id: string): Promise<void>;
  /**
   * Closes it without an effect, for good: the event is ignored when it comes again.
   * Errors: DEAD_LETTER_NOT_FOUND, DEAD_LETTER_CLOSED.
   */
  discard(id: string): Promise<void>;
}

export function createDeadLetters(
  database: Database,
  consumer: string,
  definitions: readonly EventConsumer[],
): DeadLetters {
  const definitionOf = (name: string): EventConsumer | undefined =>
    definitions.find((definition) => definition.event === name);

  return {
    async replay(id) {
      try {
        const applied = await database.transaction("dead-letter.replay", (tx) =>
          replayInside(tx, { id, consumer, definitionOf }),
        );
        if (applied !== undefined) await definitionOf(applied.name)?.committed?.([applied]);
      } catch (error) {
        await recordTry(database, id, error);
        throw error;
      }
    },
    async discard(id) {
      await database.transaction("dead-letter.discard", async (tx) => {
        const row = await lock(tx, id, consumer);
        if (row.status === "discarded") return;
        if (row.status === "replayed") throw new PlatformError("DEAD_LETTER_CLOSED");
        await receiveOnce(tx, consumer, [row.eventId]);
        await tx.run(RESOLVE, ["discarded", id]);
      });
    },
  };
}

interface Replay {
  readonly id: string;
  readonly consumer: string;
  readonly definitionOf: (name: string) => EventConsumer | undefined;
}

/** Returns the event when this call applied it. */
async function replayInside(
  tx: Transaction,
  { id, consumer, definitionOf }: Replay,
): Promise<ConsumedEvent | undefined> {
  const row = await lock(tx, id, consumer);
  if (row.status === "replayed") return undefined;
  if (row.status === "discarded") throw new PlatformError("DEAD_LETTER_CLOSED");
  const definition = definitionOf(row.eventName);
  const event =
    definition === undefined
      ? `${row.eventName} is not consumed here`
      : decodeEnvelope(definition.event, row.payload);
  if (definition === undefined || typeof event === "string") {
    throw new PlatformError("VALIDATION_FAILED", [
      { field: "payload", rule: "catalogue", message: typeof event === "string" ? event : "" },
    ]);
  }
  const fresh = await receiveOnce(tx, consumer, [event.id]);
  if (fresh.has(event.id)) await definition.apply(tx, [event]);
  await tx.run(RESOLVE, ["replayed", id]);
  return fresh.has(event.id) ? event : undefined;
}

/** The consumer's error is what the caller shall see, not that it could not be noted down. */
async function recordTry(database: Database, id: string, error: unknown): Promise<void> {
  await database.run(RECORD_TRY, [describeError(error), id]).catch(() => undefined);
}

async function lock(tx: Transaction, id: string, consumer: string): Promise<DeadLetterRow> {
  const row = await tx.row<DeadLetterRow>(LOCK, [id, consumer]);
  if (row === undefined) throw new PlatformError("DEAD_LETTER_NOT_FOUND");
  return row;
}

function describeError(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text.slice(0, ERROR_LENGTH_MAX);
}
