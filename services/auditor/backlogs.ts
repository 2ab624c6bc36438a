// What waits in the shop: events to be published, sagas to come to an end, dead letters for somebody. Read
// from the schemas themselves, so that it is known even when their owners are gone.
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import type { OutboxState, SagaState } from "../contracts/auditor.ts";
import { EVENT_OWNERS, type EventOwner } from "../contracts/events.ts";
import type { SchemaNames } from "./schema-names.ts";

/** A saga whose turn was this long ago has nobody who works on it. */
const OVERDUE_AFTER_S = 60;

/** `publish-sale`, `close-sale` and `refund` have rows of their own instead of a saga log. */
export const SAGA_TYPES = [
  "place-order",
  "close-order",
  "publish-sale",
  "close-sale",
  "refund",
] as const;
type SagaType = (typeof SAGA_TYPES)[number];

export interface Backlogs {
  /** Every owner of events, those without a backlog too. */
  outboxes(): Promise<OutboxState[]>;
  /** Every type, those with none open too. */
  sagas(): Promise<SagaState[]>;
}

interface OutboxRow {
  readonly owner: EventOwner;
  readonly waiting: string;
  readonly oldest_ms: string | null;
}

interface SagaRow {
  readonly type: SagaType;
  readonly open: string;
  readonly overdue: string | null;
}

export function createBacklogs(database: Database, schemas: SchemaNames): Backlogs {
  const outboxes = outboxStatement(schemas);
  const sagas = sagaStatement(schemas);
  return {
    async outboxes() {
      const rows = await database.rows<OutboxRow>(outboxes);
      return rows.map(({ owner, waiting, oldest_ms: oldestMs }) => ({
        owner,
        waiting: Number(waiting),
        oldest_age_ms: Math.max(0, Math.round(Number(oldestMs ?? 0))),
      }));
    },
    async sagas() {
      const rows = await database.rows<SagaRow>(
        sagas,
        Array.from({ length: sagas.sql.split("?").length - 1 }, () => OVERDUE_AFTER_S),
      );
      return SAGA_TYPES.map((type) => {
        const row = rows.find((one) => one.type === type);
        return { type, open: Number(row?.open ?? 0), overdue: Number(row?.overdue ?? 0) };
      });
    },
  };
}

function outboxStatement(schemas: SchemaNames): Statement {
  const selects = EVENT_OWNERS.map(
    (owner) =>
      `SELECT '${owner}' AS owner, COUNT(*) AS waiting,
         TIMESTAMPDIFF(MICROSECOND, MIN(created_at), NOW(3)) / 1000 AS oldest_ms
       FROM ${schemas[owner]}.outbox WHERE published_at IS NULL`,
  );
  return sql("auditor.backlogs.outboxes", selects.join(" UNION ALL "));
}

function sagaStatement({ order, seckill, payment }: SchemaNames): Statement {
  const late = (column: string): string => `SUM(${column} < NOW(3) - INTERVAL ? SECOND) AS overdue`;
  return sql(
    "auditor.backlogs.sagas",
    `SELECT type, COUNT(*) AS open, ${late("next_at")}
     FROM ${order}.sagas WHERE next_at IS NOT NULL GROUP BY type
     UNION ALL
     SELECT IF(status = 'publishing', 'publish-sale', 'close-sale') AS type, COUNT(*) AS open,
       ${late("updated_at")}
     FROM ${seckill}.sales WHERE status IN ('publishing', 'closing') GROUP BY status
     UNION ALL
     SELECT 'refund' AS type, COUNT(*) AS open, ${late("next_at")}
     FROM ${payment}.refunds WHERE next_at IS NOT NULL`,
  );
}
