// The relay's and the auditor's view of the outbox table. Claims are by id order with SKIP LOCKED
// and never by "id > last": auto-increment ids commit out of order and such rows would be skipped.
import type { EventName } from "../../services/contracts/events.ts";
import { type Database, sql } from "../database/database.ts";

/** A stored event as the relay publishes it. */
export interface OutboxRow {
  readonly id: string;
  readonly name: EventName;
  readonly aggregateId: string;
  readonly aggregateVersion: number;
  /** JSON text. */
  readonly payload: string;
  readonly traceparent: string | null;
  /** Trace contexts, comma separated. */
  readonly traceLinks: string | null;
  readonly requestId: string | null;
  readonly createdAt: Date;
  /** How often it was published before; part of the message id, so that a republished event passes
   * the stream's duplicate window. */
  readonly publishCount: number;
}

/** Events that wait to be published. */
export interface OutboxBacklog {
  /** Counted up to BACKLOG_COUNT_MAX. */
  readonly rows: number;
  /** Age of the oldest one in milliseconds; 0 when there is none. */
  readonly oldestAgeMs: number;
}

/** Beyond this the exact number says nothing new and counting costs. */
export const BACKLOG_COUNT_MAX = 100_000;

const CLAIM = sql(
  "outbox.claim",
  `SELECT id, name, aggregate_id AS aggregateId, aggregate_version AS aggregateVersion, payload,
          traceparent, trace_links AS traceLinks, request_id AS requestId, created_at AS createdAt,
          publish_count AS publishCount
     FROM outbox
    WHERE published_at IS NULL AND (claimed_until IS NULL OR claimed_until < NOW(3))
    ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED`,
);
const HOLD = sql(
  "outbox.hold",
  "UPDATE outbox SET claimed_until = NOW(3) + INTERVAL ? MICROSECOND WHERE id IN (?)",
);
const MARK = sql(
  "outbox.mark-published",
  `UPDATE outbox SET published_at = NOW(3), claimed_until = NULL, publish_count = publish_count + 1
    WHERE id IN (?) AND published_at IS NULL`,
);
const RELEASE = sql(
  "outbox.release",
  "UPDATE outbox SET claimed_until = NULL WHERE id IN (?) AND published_at IS NULL",
);
const REPUBLISH = sql(
  "outbox.republish",
  `UPDATE outbox SET published_at = NULL, claimed_until = NULL
    WHERE id IN (?) AND published_at IS NOT NULL`,
);
const BACKLOG = sql(
  "outbox.backlog",
  `SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outbox WHERE published_at IS NULL LIMIT ?) AS some)
            AS backlogRows,
          (SELECT TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) FROM outbox
            WHERE published_at IS NULL ORDER BY id LIMIT 1) AS oldestAgeUs`,
);
const PURGE = sql(
  "outbox.purge",
  `DELETE FROM outbox WHERE published_at < NOW(3) - INTERVAL ? SECOND
    ORDER BY published_at, id LIMIT ?`,
);

const US_PER_MS = 1_000;
const MS_PER_SECOND = 1_000;

/** Takes up to `limit` unpublished events for `claimMs`; nobody else publishes them meanwhile. */
export async function claimOutbox(
  database: Database,
  limit: number,
  claimMs: number,
): Promise<readonly OutboxRow[]> {
  return await database.transaction("outbox.claim", async (tx) => {
    const rows = await tx.rows<OutboxRow>(CLAIM, [limit]);
    if (rows.length > 0) await tx.run(HOLD, [claimMs * US_PER_MS, rows.map((row) => row.id)]);
    return rows;
  });
}

export async function markPublished(database: Database, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await database.run(MARK, [ids]);
}

/** Gives claimed events back at once, for the next turn. */
export async function releaseClaims(database: Database, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await database.run(RELEASE, [ids]);
}

/** Makes published events wait for the relay again. Returns how many. */
export async function requestRepublish(
  database: Database,
  ids: readonly string[],
): Promise<number> {
  if (ids.length === 0) return 0;
  return (await database.run(REPUBLISH, [ids])).affectedRows;
}

export async function readBacklog(database: Database): Promise<OutboxBacklog> {
  const row = await database.row<{ backlogRows: string; oldestAgeUs: string | null }>(BACKLOG, [
    BACKLOG_COUNT_MAX,
  ]);
  return {
    rows: Number(row?.backlogRows ?? 0),
    oldestAgeMs: Math.max(0, Number(row?.oldestAgeUs ?? 0) / US_PER_MS),
  };
}

/** Deletes up to `limit` events published longer than `keepMs` ago. Returns how many. */
export async function purgeOutbox(
  database: Database,
  keepMs: number,
  limit: number,
): Promise<number> {
  return (await database.run(PURGE, [Math.floor(keepMs / MS_PER_SECOND), limit])).affectedRows;
}
