// The audit of one sale: the ends of its logs, its orders' sums, its row, then the entries the row counts.
// In this order nothing that is read can have overtaken what it is held against. No row is locked.
import type { Context } from "moleculer";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { call } from "../contracts/actions.ts";
import type { SaleAudit } from "../contracts/sale-audit.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import { type LogFindings, walkLogs } from "./audit-log.ts";
import { openCheckpoint, readTails, saveCheckpoint } from "./audit.repository.ts";
import {
  AUDIT_RULES,
  type AuditReading,
  brokenEquations,
  logEndsOf,
  moneyOf,
  type OrderFigures,
} from "./domain/audit.ts";
import { remainingOf, type Sale } from "./domain/sale.ts";
import { compareGate } from "./gate-compare.ts";
import type { Gate } from "./gate.ts";
import { existing, findSale } from "./sale.repository.ts";

const ORDERS_TIMEOUT_MS = 8 * SECOND_MS;
/** No page is begun after this: a slow machine checks less in a call, and answers all the same. */
const CALL_TIME_MAX_MS = 4 * SECOND_MS;

export interface AuditDeps {
  readonly database: Database;
  readonly gate: Gate;
  readonly log: Log;
  readonly clock: Clock;
}

export interface AuditRequest {
  readonly id: string;
  /** From nothing, not from where the last audit left off. */
  readonly isFull: boolean;
}

export interface AuditedSale {
  readonly sale: Sale;
  readonly audit: SaleAudit;
}

/** Looks at what is new since the last audit. Errors: SECKILL_SALE_NOT_FOUND, those of reads. */
export async function auditSale(
  { database, gate, log, clock }: AuditDeps,
  ctx: Context,
  { id, isFull }: AuditRequest,
): Promise<AuditedSale> {
  const endMs = clock.monotonic() + CALL_TIME_MAX_MS;
  const isTimeUp = (): boolean => clock.monotonic() > endMs;
  existing(await findSale(database, id));
  const checkpoint = await openCheckpoint(database, id, isFull);
  const tails = await readTails(database, id);
  const orderFigures = await readOrderFigures(ctx, id);
  const sale = existing(await findSale(database, id));
  const found = await walkLogs({ database, ctx, isTimeUp }, sale, checkpoint, logEndsOf(sale));
  const hasMoved = found.checkpoint.seq > checkpoint.seq || found.checkpoint.ends > checkpoint.ends;
  if (hasMoved) await saveCheckpoint(database, id, found.checkpoint);
  const reading = {
    ...{ sale, orderFigures, lastSeq: tails.lastSeq, lastEnd: tails.lastEnd },
    ...{ admissions: found.admissions, giveBacks: found.giveBacks, orders: found.orders },
    isComplete: found.isComplete,
    gate: await readGate({ database, gate, log, clock }, sale),
  };
  return { sale, audit: resultOf(reading, found, tails.voids) };
}

async function readOrderFigures(ctx: Context, id: string): Promise<readonly OrderFigures[]> {
  const options = { timeout: ORDERS_TIMEOUT_MS };
  const { statuses } = await call(ctx, "order.ofSale", { sale_id: id }, options);
  return statuses.map(({ total_price: totalPrice, ...rest }) => ({ ...rest, totalPrice }));
}

/** A gate that is away or in the middle of something says nothing about the sale. */
async function readGate(deps: AuditDeps, sale: Sale): Promise<AuditReading["gate"]> {
  if (sale.status !== "published" || sale.mode !== "redis") return undefined;
  try {
    const found = await compareGate(deps, { saleId: sale.id, epoch: sale.epoch });
    return found.kind === "compared" ? found : undefined;
  } catch (error) {
    deps.log.debug({ err: error, sale_id: sale.id }, "the gate is left out of the audit");
    return undefined;
  }
}

function resultOf(reading: AuditReading, found: LogFindings, voids: number): SaleAudit {
  const { sale, orderFigures, gate } = reading;
  const { totalPrice, paid, refunded } = moneyOf(orderFigures);
  const offending = [...found.faults.list(), ...brokenEquations(reading)];
  return {
    sale_id: sale.id,
    quantity: sale.quantity,
    ...countsOf(reading),
    void: voids,
    returned: sale.returned,
    remaining: remainingOf(sale),
    orders: statusesOf(reading),
    money: { total_price: totalPrice, paid, refunded },
    gate_stock: gate?.stock ?? null,
    admission_log: { entries: found.admissions, sha256: found.logHash },
    complete: found.isComplete,
    holds: found.isComplete && offending.length === 0,
    offending: offending.map(({ rule, rows }) => ({ rule: AUDIT_RULES[rule], rows })),
  };
}

/** As found; by the sale's counters while entries are left. */
function countsOf({ sale, isComplete, admissions, giveBacks }: AuditReading): {
  live: number;
  given_back: number;
} {
  if (isComplete) return { live: admissions - giveBacks, given_back: giveBacks };
  return { live: sale.admitted, given_back: sale.granted - sale.admitted };
}

function statusesOf({ sale, orderFigures }: AuditReading): Record<string, number> {
  const made = orderFigures.reduce((sum, one) => sum + one.orders, 0);
  const queued = Math.max(0, sale.granted - made);
  return {
    ...(queued === 0 ? {} : { queued }),
    ...Object.fromEntries(orderFigures.map(({ status, orders }) => [status, orders])),
  };
}
