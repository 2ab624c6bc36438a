// Finds events that were published and never arrived, and has their owners publish them again: a
// wiped message server loses nothing. Reads every outbox in chunks by id and remembers how far all
// events have arrived. Ids commit out of order, so it moves that mark only past chunks that are older
// than any transaction can be.
import { missingReceipts, type EventRoute } from "../../mixins/auditor/message-invariants.ts";
import { qualify } from "../../mixins/auditor/invariant.ts";
import { type Database, sql, type Statement } from "../../mixins/database/database.ts";
import type { OwnedSchema } from "../../config/database.ts";
import { REPUBLISH_IDS_MAX } from "../contracts/messaging.ts";

/** An event this long after its publication without a receipt is taken for lost. */
const LOST_AFTER_S = 30;
/** No transaction is open this long. */
const SETTLED_AFTER_S = 600;
const CHUNK_ROWS = 5_000;
const CHUNKS_PER_PASS_MAX = 20;

interface ChunkRow {
  readonly top: string | null;
  readonly row_count: string;
  /** 1 when the youngest row is old enough to have nothing uncommitted before it. */
  readonly is_settled: number | string | null;
}

export interface ReceiptWatch {
  readonly route: EventRoute;
  /** Outbox ids that did not arrive, oldest first, at most REPUBLISH_IDS_MAX. */
  findLost(): Promise<readonly string[]>;
}

export function createReceiptWatch(
  database: Database,
  route: EventRoute,
  nameOf: (schema: OwnedSchema) => string,
): ReceiptWatch {
  const chunk = chunkStatement(route, nameOf);
  const lost = lostStatement(route, nameOf);
  let arrivedTo = "0";

  return {
    route,
    async findLost() {
      const found: string[] = [];
      let from = arrivedTo;
      for (let turn = 0; turn < CHUNKS_PER_PASS_MAX; turn += 1) {
        const row = await database.row<ChunkRow>(chunk, [SETTLED_AFTER_S, from, CHUNK_ROWS]);
        if (row?.top === null || row === undefined) break;
        const missing = await database.rows<{ id: string }>(lost, [
          from,
          row.top,
          LOST_AFTER_S,
          REPUBLISH_IDS_MAX,
        ]);
        found.push(...missing.map(({ id }) => id));
        const hasArrived = missing.length === 0 && Number(row.is_settled) === 1;
        if (hasArrived && from === arrivedTo) arrivedTo = row.top;
        from = row.top;
        if (found.length >= REPUBLISH_IDS_MAX || Number(row.row_count) < CHUNK_ROWS) break;
      }
      return found.slice(0, REPUBLISH_IDS_MAX);
    },
  };
}

function chunkStatement({ owner }: EventRoute, nameOf: (schema: OwnedSchema) => string): Statement {
  return sql(
    "auditor.receipts.chunk",
    qualify(
      `SELECT MAX(id) AS top, COUNT(*) AS row_count,
              MAX(created_at) < NOW(3) - INTERVAL ? SECOND AS is_settled
       FROM (SELECT id, created_at FROM {${owner}}.outbox WHERE id > ? ORDER BY id LIMIT ?) AS chunk`,
      nameOf,
    ),
  );
}

function lostStatement(route: EventRoute, nameOf: (schema: OwnedSchema) => string): Statement {
  return sql(
    "auditor.receipts.lost",
    qualify(
      `SELECT o.id ${missingReceipts(route)}
        AND o.id > ? AND o.id <= ? AND o.published_at < NOW(3) - INTERVAL ? SECOND
       ORDER BY o.id LIMIT ?`,
      nameOf,
    ),
  );
}
