// Dead letters of all services in one list. Read here; replayed and discarded by their owners.
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import type { DeadLetter } from "../contracts/auditor.ts";
import { PlatformError } from "../contracts/errors.ts";
import { EVENT_OWNERS, type EventOwner } from "../contracts/events.ts";
import { type PageOf, pageOf } from "../kernel/schema.ts";
import type { SchemaNames } from "./schema-names.ts";

const COLUMNS = "id, consumer, event_id, event_name, payload, error, tries, status, created_at";

interface DeadLetterRow {
  readonly owner: string;
  readonly id: string;
  readonly consumer: string;
  readonly event_id: string;
  readonly event_name: string;
  readonly payload: string;
  readonly error: string;
  readonly tries: number;
  readonly status: DeadLetter["status"];
  readonly created_at: Date;
}

export interface DeadLetterQuery {
  readonly page?: number;
  readonly page_size?: number;
  readonly status?: DeadLetter["status"];
}

export interface DeadLetterList {
  /** Newest first. */
  list(query: DeadLetterQuery): Promise<PageOf<DeadLetter>>;
  /** Errors: DEAD_LETTER_NOT_FOUND. */
  find(id: string): Promise<DeadLetter>;
  /** Open ones of each service. */
  countOpen(): Promise<ReadonlyMap<EventOwner, number>>;
}

export function createDeadLetterList(database: Database, schemas: SchemaNames): DeadLetterList {
  const pageStatements = {
    all: pageStatement(schemas, ""),
    ofStatus: pageStatement(schemas, "WHERE status = ?"),
  };
  const count = countStatement(schemas);
  const countBy = async (
    status: DeadLetter["status"] | undefined,
  ): Promise<ReadonlyMap<EventOwner, number>> => {
    const rows = await database.rows<{ owner: EventOwner; status: string; letters: string }>(count);
    const counts = new Map<EventOwner, number>(EVENT_OWNERS.map((owner) => [owner, 0]));
    for (const row of rows) {
      if (status !== undefined && row.status !== status) continue;
      counts.set(row.owner, (counts.get(row.owner) ?? 0) + Number(row.letters));
    }
    return counts;
  };

  return {
    async list(query) {
      const { page, pageSize, offset } = pageOf(query);
      const { status } = query;
      const perOwner = status === undefined ? [offset + pageSize] : [status, offset + pageSize];
      const [rows, counts] = await Promise.all([
        database.rows<DeadLetterRow>(
          status === undefined ? pageStatements.all : pageStatements.ofStatus,
          [...EVENT_OWNERS.flatMap(() => perOwner), pageSize, offset],
        ),
        countBy(status),
      ]);
      const total = [...counts.values()].reduce((sum, one) => sum + one, 0);
      return { items: rows.map(letterOf), page, page_size: pageSize, total };
    },
    async find(id) {
      const { owner, rowId } = splitId(id);
      const row = await database.row<DeadLetterRow>(findStatement(schemas, owner), [rowId]);
      if (row === undefined) throw new PlatformError("DEAD_LETTER_NOT_FOUND");
      return letterOf(row);
    },
    countOpen: () => countBy("open"),
  };
}

/** `<owner>-<row id>`, as the contract's pattern has it. */
export function splitId(id: string): { readonly owner: EventOwner; readonly rowId: string } {
  const at = id.lastIndexOf("-");
  return { owner: id.slice(0, at) as EventOwner, rowId: id.slice(at + 1) };
}

/** The newest of every service, as many as could be on the page, then the page out of those. */
function pageStatement(schemas: SchemaNames, where: string): Statement {
  const selects = EVENT_OWNERS.map(
    (owner) =>
      `(SELECT '${owner}' AS owner, ${COLUMNS} FROM ${schemas[owner]}.dead_letters
        ${where} ORDER BY id DESC LIMIT ?)`,
  );
  return sql(
    "auditor.dead_letters.page",
    `SELECT owner, ${COLUMNS} FROM (${selects.join(" UNION ALL ")}) AS letters
     ORDER BY created_at DESC, owner, id DESC LIMIT ? OFFSET ?`,
  );
}

function countStatement(schemas: SchemaNames): Statement {
  const selects = EVENT_OWNERS.map(
    (owner) =>
      `SELECT '${owner}' AS owner, status, COUNT(*) AS letters
       FROM ${schemas[owner]}.dead_letters GROUP BY status`,
  );
  return sql("auditor.dead_letters.count", selects.join(" UNION ALL "));
}

function findStatement(schemas: SchemaNames, owner: EventOwner): Statement {
  return sql(
    "auditor.dead_letters.find",
    `SELECT '${owner}' AS owner, ${COLUMNS} FROM ${schemas[owner]}.dead_letters WHERE id = ?`,
  );
}

function letterOf(row: DeadLetterRow): DeadLetter {
  return {
    id: `${row.owner}-${row.id}`,
    consumer: row.consumer,
    event_id: row.event_id,
    event_name: row.event_name,
    payload: readable(row.payload),
    // The stack below the first line is for the log, not for an answer.
    error: row.error.split("\n", 1)[0] ?? "",
    tries: row.tries,
    status: row.status,
    created_at: row.created_at.toISOString(),
  };
}

/** The message as it came: JSON when it is, else the text. */
function readable(payload: string): unknown {
  try {
    return JSON.parse(payload) as unknown;
  } catch {
    return payload;
  }
}
