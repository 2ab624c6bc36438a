// Walks the two logs of a sale, admissions and give-backs, from where the last audit left off, and holds
// every entry against its order. Bounded: what is left waits for the next call.
//
// The checkpoint moves over entries that hold and whose order is there, and stops before the first
// that does not: whatever was wrong is looked at again, until it is right.
import type { Context } from "moleculer";
import type { Database } from "../../mixins/database/database.ts";
import { type ActionResult, call } from "../contracts/actions.ts";
import { STATUS_IDS_MAX } from "../contracts/order.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import { chainHash } from "../kernel/hash-chain.ts";
import {
  type AdmissionEntry,
  type AuditCheckpoint,
  readAdmissionLog,
  readDoubles,
  readEndLog,
} from "./audit.repository.ts";
import type { AuditRule } from "./domain/audit.ts";
import type { Sale } from "./domain/sale.ts";

/** Entries of both logs that one call reads. */
export const ENTRIES_PER_CALL_MAX = 40_000;
/** An order row may be this late after its admission. */
const ORDER_LATE_S = 60;
const ORDERS_TIMEOUT_MS = 3 * SECOND_MS;
/** Rows named per rule. */
const ROWS_MAX = 20;

type AdmittedOrder = ActionResult<"order.ofAdmissions">["items"][number];

export interface LogFindings {
  readonly checkpoint: AuditCheckpoint;
  /** Entries found, those before the checkpoint included. */
  readonly admissions: number;
  readonly giveBacks: number;
  /** Admissions whose order was found. */
  readonly orders: number;
  /** Of the first `admissions` entries. */
  readonly logHash: string;
  /** False when entries are left for the next call. */
  readonly isComplete: boolean;
  readonly faults: Faults;
}

/** Where the logs must end, by the sale's counters. */
export interface LogEnds {
  readonly admissions: number;
  readonly giveBacks: number;
}

/** Offending rows by rule; more than ROWS_MAX are cut off. */
export class Faults {
  readonly #rows = new Map<AuditRule, string[]>();

  add(rule: AuditRule, row: string): void {
    const rows = this.#rows.get(rule) ?? [];
    this.#rows.set(rule, rows);
    if (rows.length < ROWS_MAX) rows.push(row);
  }

  get size(): number {
    return this.#rows.size;
  }

  list(): readonly { rule: AuditRule; rows: string[] }[] {
    return [...this.#rows].map(([rule, rows]) => ({ rule, rows }));
  }
}

export interface LogWalkParts {
  readonly database: Database;
  readonly ctx: Context;
  /** Whether a page is the last one of this call; the first one is always read. */
  readonly isTimeUp: () => boolean;
}

/** Errors: those of reads and of order.ofAdmissions. */
export async function walkLogs(
  parts: LogWalkParts,
  sale: Sale,
  from: AuditCheckpoint,
  ends: LogEnds,
): Promise<LogFindings> {
  const walk = new LogWalk(parts, sale, from);
  await walk.admissions(ends.admissions);
  await walk.giveBacks(ends.giveBacks);
  return walk.findings;
}

class LogWalk {
  readonly #parts: LogWalkParts;
  readonly #sale: Sale;
  readonly #faults = new Faults();
  readonly #checkpoint: { -readonly [K in keyof AuditCheckpoint]: AuditCheckpoint[K] };
  #found: { admissions: number; giveBacks: number; orders: number };
  #logHash: string;
  #budget = ENTRIES_PER_CALL_MAX;
  #isComplete = true;

  constructor(parts: LogWalkParts, sale: Sale, from: AuditCheckpoint) {
    this.#parts = parts;
    this.#sale = sale;
    this.#checkpoint = { ...from };
    this.#found = { admissions: from.seq, giveBacks: from.ends, orders: from.seq };
    this.#logHash = from.logHash;
  }

  get findings(): LogFindings {
    return {
      ...this.#found,
      checkpoint: this.#checkpoint,
      logHash: this.#logHash,
      isComplete: this.#isComplete,
      faults: this.#faults,
    };
  }

  async admissions(upTo: number): Promise<void> {
    let after = this.#checkpoint.seq;
    let holds = true;
    while (after < upTo) {
      const limit = this.#take();
      if (limit === 0) return;
      const stretch = { saleId: this.#sale.id, after, upTo, limit };
      const page = await readAdmissionLog(this.#parts.database, stretch, ORDER_LATE_S);
      holds = await this.#checkPage(page, after, holds);
      const last = page.at(-1)?.seq;
      if (last === undefined || page.length < limit) {
        this.#gap("admissionsNumbered", last ?? after, upTo);
        return;
      }
      after = last;
    }
  }

  async giveBacks(upTo: number): Promise<void> {
    let after = this.#checkpoint.ends;
    let holds = true;
    while (after < upTo) {
      const limit = this.#take();
      if (limit === 0) return;
      const stretch = { saleId: this.#sale.id, after, upTo, limit };
      const page = await readEndLog(this.#parts.database, stretch);
      const orders = await this.#ordersOf(page.map(({ orderId }) => orderId));
      for (const { number, orderId } of page) {
        const isNext = this.#gap("giveBacksNumbered", after, number - 1);
        const isCancelled = orders.get(orderId)?.status === "cancelled";
        if (!isCancelled) this.#faults.add("givenBackCancelled", `order ${orderId}`);
        this.#found.giveBacks += 1;
        after = number;
        holds &&= isNext && isCancelled;
        if (holds) this.#checkpoint.ends = number;
      }
      if (page.length < limit) {
        this.#gap("giveBacksNumbered", after, upTo);
        return;
      }
    }
  }

  /** Entries the next page may have; 0 when this call has read enough. */
  #take(): number {
    const isTimeUp = this.#budget < ENTRIES_PER_CALL_MAX && this.#parts.isTimeUp();
    const limit = isTimeUp ? 0 : Math.min(STATUS_IDS_MAX, this.#budget);
    this.#budget -= limit;
    if (limit === 0) this.#isComplete = false;
    return limit;
  }

  /** True when no number is missing from `after` to `upTo`. */
  #gap(rule: AuditRule, after: number, upTo: number): boolean {
    if (after === upTo) return true;
    const first = after + 1;
    this.#faults.add(rule, first === upTo ? `number ${first}` : `numbers ${first} to ${upTo}`);
    return false;
  }

  /** @param holds whether everything before did. Returns whether this page does as well. */
  async #checkPage(
    page: readonly AdmissionEntry[],
    before: number,
    holds: boolean,
  ): Promise<boolean> {
    if (page.length === 0) return holds;
    const { database } = this.#parts;
    const userIds = page.map(({ userId }) => userId);
    const [orders, doubles] = await Promise.all([
      this.#ordersOf(page.map(({ orderId }) => orderId)),
      readDoubles(database, this.#sale.id, userIds),
    ]);
    for (const userId of doubles) this.#faults.add("oneLivePerBuyer", `user ${userId}`);
    const twice = new Set(doubles);
    let after = before;
    let stillHolds = holds;
    for (const entry of page) {
      const isNext = this.#gap("admissionsNumbered", after, entry.seq - 1);
      const isRight = this.#holdsAgainst(entry, orders.get(entry.orderId));
      after = entry.seq;
      this.#found.admissions += 1;
      this.#logHash = chainHash(this.#logHash, logEntry(this.#sale.id, entry));
      stillHolds &&= isNext && isRight && !twice.has(entry.userId);
      if (!stillHolds) continue;
      this.#checkpoint.seq = entry.seq;
      this.#checkpoint.logHash = this.#logHash;
    }
    return stillHolds;
  }

  /** An order that is not there yet is no fault, but nothing that holds either. */
  #holdsAgainst(entry: AdmissionEntry, order: AdmittedOrder | undefined): boolean {
    const row = `order ${entry.orderId}`;
    if (order === undefined) {
      if (entry.isOld) this.#faults.add("everyAdmissionOrdered", row);
      return false;
    }
    this.#found.orders += 1;
    const { id, skuId, price } = this.#sale;
    const isAsPromised =
      order.user_id === entry.userId &&
      order.sale_id === id &&
      order.sku_id === skuId &&
      order.units === 1 &&
      order.total_price === price;
    if (!isAsPromised) this.#faults.add("orderAsPromised", row);
    return isAsPromised;
  }

  async #ordersOf(ids: readonly string[]): Promise<ReadonlyMap<string, AdmittedOrder>> {
    if (ids.length === 0) return new Map();
    const options = { timeout: ORDERS_TIMEOUT_MS };
    const params = { order_ids: [...ids] };
    const { items } = await call(this.#parts.ctx, "order.ofAdmissions", params, options);
    return new Map(items.map((order) => [order.order_id, order]));
  }
}

/** One line of the admission log, as its hash is made of. */
export function logEntry(
  saleId: string,
  { seq, orderId, userId, epoch, admittedAt }: Omit<AdmissionEntry, "state" | "isOld">,
): string {
  return [saleId, seq, orderId, userId, epoch, admittedAt.toISOString()].join(",");
}
