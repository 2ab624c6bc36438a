// What an audit reads of a sale: its two logs page by page, and how far they were found to hold. Reads
// lock nothing: a log only grows, so what a counter has counted is there to be read afterwards.
import { type Database, type Queryable, sql } from "../../mixins/database/database.ts";
import { must } from "../kernel/assert.ts";
import { EMPTY_LOG_HASH } from "../kernel/hash-chain.ts";
import type { AdmissionState } from "./domain/admission.ts";

const TAILS = sql(
  "seckill.audit.tails",
  `SELECT
     (SELECT COALESCE(MAX(seq), 0) FROM admissions WHERE sale_id = ?) AS lastSeq,
     (SELECT COALESCE(MAX(end_seq), 0) FROM admissions WHERE sale_id = ?) AS lastEnd,
     (SELECT COUNT(*) FROM admissions WHERE sale_id = ? AND seq IS NULL) AS voids`,
);

const LOG = sql(
  "seckill.audit.log",
  `SELECT seq, order_id AS orderId, user_id AS userId, epoch, state, created_at AS admittedAt,
     created_at < NOW(3) - INTERVAL ? SECOND AS isOld
   FROM admissions WHERE sale_id = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
);

const ENDS = sql(
  "seckill.audit.ends",
  `SELECT end_seq AS number, order_id AS orderId
   FROM admissions WHERE sale_id = ? AND end_seq > ? AND end_seq <= ? ORDER BY end_seq LIMIT ?`,
);

const DOUBLES = sql(
  "seckill.audit.doubles",
  `SELECT user_id AS userId FROM admissions
   WHERE sale_id = ? AND user_id IN (?) AND live IS NOT NULL
   GROUP BY user_id HAVING COUNT(*) > 1 ORDER BY user_id`,
);

const OPEN = sql(
  "seckill.audit.open",
  `INSERT INTO sale_audits (sale_id, log_hash) VALUES (?, ?)
   ON DUPLICATE KEY UPDATE sale_id = sale_id`,
);

const FIND = sql(
  "seckill.audit.checkpoint",
  "SELECT round, seq, ends, log_hash AS logHash FROM sale_audits WHERE sale_id = ?",
);

// Assigned from left to right: the hash is that of the greater number.
const SAVE = sql(
  "seckill.audit.save",
  `UPDATE sale_audits SET log_hash = IF(seq < ?, ?, log_hash), seq = GREATEST(seq, ?),
     ends = GREATEST(ends, ?), updated_at = NOW(3)
   WHERE sale_id = ? AND round = ?`,
);

const RESTART = sql(
  "seckill.audit.restart",
  `UPDATE sale_audits SET round = round + 1, seq = 0, ends = 0, log_hash = ?, updated_at = NOW(3)
   WHERE sale_id = ?`,
);

export interface LogTails {
  /** Highest numbers given out, 0 when there is none. */
  readonly lastSeq: number;
  readonly lastEnd: number;
  readonly voids: number;
}

export async function readTails(database: Queryable, saleId: string): Promise<LogTails> {
  const row = must(
    await database.row<Record<keyof LogTails, string | number>>(TAILS, [saleId, saleId, saleId]),
    "the ends of a sale's logs",
  );
  return {
    lastSeq: Number(row.lastSeq),
    lastEnd: Number(row.lastEnd),
    voids: Number(row.voids),
  };
}

export interface AdmissionEntry {
  readonly seq: number;
  readonly orderId: string;
  readonly userId: string;
  readonly epoch: number;
  readonly state: AdmissionState;
  readonly admittedAt: Date;
  /** Its order should be there by now. */
  readonly isOld: boolean;
}

/** A stretch of a log: numbers above `after`, up to `upTo`, at most `limit` of them. */
export interface Stretch {
  readonly saleId: string;
  readonly after: number;
  readonly upTo: number;
  readonly limit: number;
}

/** @param oldAfterS age from which an entry is old, in seconds. */
export async function readAdmissionLog(
  database: Queryable,
  { saleId, after, upTo, limit }: Stretch,
  oldAfterS: number,
): Promise<readonly AdmissionEntry[]> {
  const rows = await database.rows<Omit<AdmissionEntry, "isOld"> & { isOld: number }>(LOG, [
    oldAfterS,
    saleId,
    after,
    upTo,
    limit,
  ]);
  return rows.map((row) => ({ ...row, isOld: row.isOld === 1 }));
}

export interface EndEntry {
  readonly number: number;
  readonly orderId: string;
}

export async function readEndLog(
  database: Queryable,
  { saleId, after, upTo, limit }: Stretch,
): Promise<readonly EndEntry[]> {
  return await database.rows<EndEntry>(ENDS, [saleId, after, upTo, limit]);
}

/** Those of these buyers who hold more than one unit. */
export async function readDoubles(
  database: Queryable,
  saleId: string,
  userIds: readonly string[],
): Promise<readonly string[]> {
  const rows = await database.rows<{ userId: string }>(DOUBLES, [saleId, userIds]);
  return rows.map(({ userId }) => userId);
}

/** How far a sale's logs were found to hold; never past an entry that does not. */
export interface AuditCheckpoint {
  /** Counts the checks from nothing. */
  readonly round: number;
  readonly seq: number;
  readonly ends: number;
  readonly logHash: string;
}

/** @param isAnew forgets what was checked before. */
export async function openCheckpoint(
  database: Database,
  saleId: string,
  isAnew: boolean,
): Promise<AuditCheckpoint> {
  const known = await database.row<AuditCheckpoint>(FIND, [saleId]);
  if (known !== undefined && !isAnew) return known;
  if (known === undefined) await database.run(OPEN, [saleId, EMPTY_LOG_HASH]);
  else await database.run(RESTART, [EMPTY_LOG_HASH, saleId]);
  return must(await database.row<AuditCheckpoint>(FIND, [saleId]), "the sale's checkpoint");
}

/** Keeps the greater of two audits' progress; one of an earlier round changes nothing. */
export async function saveCheckpoint(
  database: Database,
  saleId: string,
  { round, seq, ends, logHash }: AuditCheckpoint,
): Promise<void> {
  await database.run(SAVE, [seq, logHash, seq, ends, saleId, round]);
}
