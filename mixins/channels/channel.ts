// Durable events as a consumer sees them. See consumer-runner.ts for the delivery protocol.
import type { EventName, EventPayload } from "../../services/contracts/events.ts";
import type { Transaction } from "../database/database.ts";

export interface ConsumedEvent<Name extends EventName = EventName> {
  /** `<owner>.<outbox id>`: the key of the inbox row. */
  readonly id: string;
  readonly name: Name;
  readonly aggregateId: string;
  readonly aggregateVersion: number;
  readonly payload: EventPayload<Name>;
  readonly occurredAt: Date;
}

export interface EventConsumer<Name extends EventName = EventName> {
  readonly event: Name;
  /** Events of one transaction, where an event is large; the runner's own limit when absent. */
  readonly batchSizeMax?: number;
  /**
   * Batches in work at once on one node, 1 when absent: while one is committed the next is prepared.
   * More only where the order of events does not matter; two nodes disturb it as well.
   */
  readonly lanes?: number;
  /**
   * Applies events this consumer has not had before, in one transaction with their inbox rows. When
   * a batch fails it is tried event by event. Must be idempotent by its own keys as well. What must
   * happen after the commit goes into `committed`.
   */
  apply(tx: Transaction, events: readonly ConsumedEvent<Name>[]): Promise<void>;
  /** Hints after the commit; may be lost. */
  committed?(events: readonly ConsumedEvent<Name>[]): void | Promise<void>;
}

/** Keeps the payload's type while consumers of different events stand in one list. */
export function consumer<Name extends EventName>(definition: EventConsumer<Name>): EventConsumer {
  return definition;
}
