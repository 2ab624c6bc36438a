// Group commit of reservations. Orders that arrive while a commit is under way go into the next
// transaction together: it locks their SKU rows in id order, walks the orders by arrival, and
// writes what it granted. The numbers under the lock are the only thing that grants; the sold-out
// mark before the queue only refuses, and never an order that may hold its units already.
//
//   reserve ──▶ marked? ──yes──▶ known order? (one unlocked read per turn) ──▶ refused / as before
//                  │no
//                  ▼
//               queue ──▶ [lock stock, read orders] ──▶ grant ──▶ [stock, ledger, orders, lines]
//                                                                              │ COMMIT
//   answers to all of the batch ◀── marks, availability ◀─────────────────────┘
//
// When the answer to COMMIT is lost, the same rows are locked on a new connection and the granted
// orders looked up: all are there or none, because one transaction inserted them.
import type { Database, Transaction } from "../../mixins/database/database.ts";
import { type CommitQueue, createCommitQueue } from "../../mixins/database/commit-queue.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import {
  grant,
  type ReservationLine,
  type ReserveCommand,
  type ReserveOutcome,
  type ReservationStatus,
} from "./domain/reservation.ts";
import { byNumericId, orderable, type Stock } from "./domain/stock.ts";
import { insertHeld, readStatuses } from "./reservation.repository.ts";
import type { SoldOutMarks } from "./sold-out-marks.ts";
import { lockStock, writeBook } from "./stock.repository.ts";

/** Orders of one transaction. */
export const RESERVE_BATCH_MAX = 128;
/** Orders that may wait for the next transactions; a full queue answers OVERLOADED. */
const RESERVE_QUEUE_MAX = 4_096;
/** Its caller has given up by then, and lets go what may have been reserved. */
const RESERVE_WAIT_MAX_MS = 1_500;

export const RESERVE_FAILPOINTS = {
  beforeCommit: "inventory.reserve.before_commit",
  afterCommit: "inventory.reserve.after_commit",
} as const;

export interface ReserveDeps {
  readonly database: Database;
  readonly marks: SoldOutMarks;
  readonly failpoint: Failpoint;
  /** Told of every SKU a commit changed. Must not throw and must not wait. */
  readonly onChanged: (changed: readonly Stock[]) => void;
}

export interface Reserver {
  /**
   * Holds all lines for the order, or none. The same order again has no second effect.
   * Errors: INVENTORY_OUT_OF_STOCK (details.sku_ids), ORDER_ILLEGAL_TRANSITION when the order was
   * released before, OVERLOADED, OUTCOME_UNKNOWN (ask again with the same order id).
   */
  reserve(orderId: string, lines: readonly ReservationLine[]): Promise<void>;
  /** Commits what waits and refuses what comes later. */
  drain(): Promise<void>;
}

export function createReserver(deps: ReserveDeps): Reserver {
  const queue = createCommitQueue<ReserveCommand, ReserveOutcome>({
    name: "inventory.reserve",
    batchSizeMax: RESERVE_BATCH_MAX,
    queueLengthMax: RESERVE_QUEUE_MAX,
    waitMaxMs: RESERVE_WAIT_MAX_MS,
    commit: (commands) => commitBatch(deps, commands),
  });
  const lookups = createCommitQueue<string, ReservationStatus | undefined>({
    name: "inventory.reserve.lookup",
    batchSizeMax: RESERVE_BATCH_MAX,
    queueLengthMax: RESERVE_QUEUE_MAX,
    commit: async (orderIds) => {
      const statuses = await readStatuses(deps.database, orderIds);
      return orderIds.map((orderId) => statuses.get(orderId));
    },
  });
  return {
    async reserve(orderId, lines) {
      const command = { orderId, lines: mergeLines(lines) };
      const marked = deps.marks.soldOutOf(command.lines.map(({ skuId }) => skuId));
      const outcome =
        marked.length === 0
          ? await queue.submit(command)
          : await refuseUnlessKnown(lookups, orderId, marked);
      answer(outcome);
    },
    async drain() {
      await Promise.all([queue.drain(), lookups.drain()]);
    },
  };
}

/** A repeated reserve of an order that holds its units must not be told "sold out". */
async function refuseUnlessKnown(
  lookups: CommitQueue<string, ReservationStatus | undefined>,
  orderId: string,
  skuIds: readonly string[],
): Promise<ReserveOutcome> {
  const status = await lookups.submit(orderId);
  if (status === undefined) return { kind: "out_of_stock", skuIds };
  return { kind: status === "released" ? "given_up" : "reserved" };
}

function answer(outcome: ReserveOutcome): void {
  if (outcome.kind === "out_of_stock") {
    throw new PlatformError("INVENTORY_OUT_OF_STOCK", { sku_ids: outcome.skuIds });
  }
  if (outcome.kind === "given_up") {
    throw new PlatformError("ORDER_ILLEGAL_TRANSITION", { reservation: "released" });
  }
}

/** Each SKU once, by id, with the sum of its lines. */
export function mergeLines(lines: readonly ReservationLine[]): readonly ReservationLine[] {
  const quantities = new Map<string, number>();
  for (const { skuId, quantity } of lines) {
    quantities.set(skuId, (quantities.get(skuId) ?? 0) + quantity);
  }
  return [...quantities]
    .map(([skuId, quantity]) => ({ skuId, quantity }))
    .sort((left, right) => byNumericId(left.skuId, right.skuId));
}

interface BatchResult {
  readonly outcomes: readonly ReserveOutcome[];
  readonly granted: readonly ReserveCommand[];
  readonly changed: readonly Stock[];
  readonly soldOut: readonly string[];
}

async function commitBatch(
  deps: ReserveDeps,
  commands: readonly ReserveCommand[],
): Promise<readonly ReserveOutcome[]> {
  let decided: BatchResult | undefined;
  const result = await deps.database.transaction(
    "inventory.reserve",
    async (tx) => {
      decided = await decideBatch(tx, commands);
      await deps.failpoint(RESERVE_FAILPOINTS.beforeCommit);
      return decided;
    },
    { resolve: (tx) => resolveBatch(tx, decided) },
  );
  await deps.failpoint(RESERVE_FAILPOINTS.afterCommit);
  deps.marks.mark(result.soldOut);
  deps.onChanged(result.changed);
  return result.outcomes;
}

async function decideBatch(
  tx: Transaction,
  commands: readonly ReserveCommand[],
): Promise<BatchResult> {
  const skuIds = new Set(commands.flatMap(({ lines }) => lines.map(({ skuId }) => skuId)));
  // Sent together; the server runs them in turn, so the orders are read under the stock locks.
  const [book, known] = await Promise.all([
    lockStock(tx, skuIds),
    readStatuses(tx, [...new Set(commands.map(({ orderId }) => orderId))]),
  ]);
  const { outcomes, granted } = grant(book, commands, known);
  const soldOut = [...skuIds].filter((skuId) => {
    const stock = book.find(skuId);
    return stock !== undefined && orderable(stock) === 0;
  });
  if (granted.length === 0) return { outcomes, granted, changed: [], soldOut };
  // One round trip: a statement behind one that failed lands in what ROLLBACK undoes.
  const [changed] = await Promise.all([writeBook(tx, book), insertHeld(tx, granted)]);
  return { outcomes, granted, changed, soldOut };
}

async function resolveBatch(
  tx: Transaction,
  decided: BatchResult | undefined,
): Promise<
  { readonly outcome: "committed"; readonly value: BatchResult } | { outcome: "not_committed" }
> {
  if (decided === undefined) return { outcome: "not_committed" };
  if (decided.granted.length === 0) return { outcome: "committed", value: decided };
  await lockStock(
    tx,
    decided.changed.map(({ skuId }) => skuId),
  );
  const orderIds = decided.granted.map(({ orderId }) => orderId);
  const found = await readStatuses(tx, orderIds);
  // Some but not all: another node has reserved them since, which it could only do without ours.
  return found.size === orderIds.length
    ? { outcome: "committed", value: decided }
    : { outcome: "not_committed" };
}
