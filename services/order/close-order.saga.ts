// The end of unpaid orders: an order is cancelled only when it can no longer be paid.
//
//   start (tx)        pending_payment ─▶ closing, saga leased by this node, order.payment_due.v1
//   payment.close     applies callbacks that are stored, asks the provider, and leaves a tombstone
//                     that refuses every later payment; answers `captured` or `closed` per order
//   end (tx)          closing ─▶ paid (order.paid.v1) | cancelled (order.cancelled.v1), saga done
//
// Every step may be repeated by any node: whoever finds the saga's lease at its end goes on with
// payment.close. While the provider does not answer an order stays `closing` and its stock held.
// The news of the payment may come as an event first; then there is nothing left to do here.
import type { Context, ServiceBroker } from "moleculer";
import { type Database, sql, type Transaction } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { type ActionResult, call } from "../contracts/actions.ts";
import { isPlatformError } from "../contracts/errors.ts";
import { CLOSE_ORDERS_MAX } from "../contracts/payment.ts";
import { assert, must } from "../kernel/assert.ts";
import { type Backoff, backoffDelayMs } from "../kernel/backoff.ts";
import { MINUTE_MS, SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import {
  type Actor,
  cancel,
  type CloseReason,
  type Order,
  type OrderDecision,
  pay,
  startClosing,
  SYSTEM,
} from "./domain/order.ts";
import { ORDER_FAILPOINTS } from "./failpoints.ts";
import { lockDueOrders, lockOrders, updateOrder, writeDecisions } from "./order.repository.ts";
import { byNumericId } from "./order.rows.ts";
import { finishSagas, type Lease, postponeSagas, startSagas } from "./saga-log.ts";

/** Longer than payment.close may take for a full batch. */
export const CLOSE_LEASE_MS = 20 * SECOND_MS;
/** Orders one node closes at once. */
export const CLOSE_BATCH_MAX = CLOSE_ORDERS_MAX;
const CLOSE_TIMEOUT_MS = 10 * SECOND_MS;
/** A buyer who cancels waits this long for the last word; then he is shown `closing`. */
const CANCEL_TIMEOUT_MS = 1_500;
const RETRY: Backoff = { baseMs: SECOND_MS, maxMs: MINUTE_MS };

const FIND_DUE = sql(
  "order.find-due",
  `SELECT id FROM orders WHERE status = 'pending_payment' AND expires_at < NOW(3)
   ORDER BY expires_at LIMIT ?`,
);

export interface CloseOrderDeps {
  readonly database: Database;
  readonly lease: Omit<Lease, "leaseMs">;
  readonly failpoint: Failpoint;
  readonly log: Log;
  readonly random: () => number;
  /** Called after a commit that left events for the relay. */
  readonly onEvents: () => void;
}

type Caller = Context | ServiceBroker;
type CloseAnswer = ActionResult<"payment.close">["items"][number];

export interface CancelRequest {
  readonly id: string;
  readonly actor: Actor;
  readonly reason: CloseReason;
  /** Whose order it must be; null: anybody's. */
  readonly ownerId: string | null;
}

/**
 * The buyer's cancel: `closing`, then as far as the provider's answer allows. Answers the order as
 * it is then. Errors: ORDER_ILLEGAL_TRANSITION, ORDER_NOT_FOUND.
 */
export async function cancelOrder(
  deps: CloseOrderDeps,
  caller: Caller,
  request: CancelRequest,
): Promise<Order> {
  const { id, ownerId, actor, reason } = request;
  const { state, transition } = await updateOrder(deps.database, {
    id,
    ownerId,
    decide: (order, at) => startClosing(order, { reason, actor, at }),
    also: (tx) => startCloseSagas(tx, deps.lease, [id]),
  });
  if (transition === null) return state;
  deps.onEvents();
  await deps.failpoint(ORDER_FAILPOINTS.closeAfterStart);
  const ended = await closeOrders(deps, caller, {
    ids: [id],
    timeoutMs: CANCEL_TIMEOUT_MS,
    attempts: 0,
  });
  return ended.get(id) ?? state;
}

/** Closes orders whose time to pay is over, at most CLOSE_BATCH_MAX. Returns how many it took. */
export async function closeDueOrders(deps: CloseOrderDeps, caller: Caller): Promise<number> {
  const ids = await startDue(deps);
  if (ids.length === 0) return 0;
  deps.onEvents();
  await deps.failpoint(ORDER_FAILPOINTS.closeAfterStart);
  await closeOrders(deps, caller, { ids, timeoutMs: CLOSE_TIMEOUT_MS, attempts: 0 });
  return ids.length;
}

/** Nodes that look at the same time find the same orders and each takes those not yet taken. */
async function startDue({ database, lease }: CloseOrderDeps): Promise<readonly string[]> {
  const due = await database.rows<{ id: string }>(FIND_DUE, [CLOSE_BATCH_MAX]);
  if (due.length === 0) return [];
  const ids = due.map(({ id }) => id).sort(byNumericId);
  return await database.transaction("order.close.start", async (tx) => {
    const { orders, now } = await lockDueOrders(tx, ids);
    const taken = [...orders.keys()];
    const reason: CloseReason = "payment_timeout";
    await writeDecisions(
      tx,
      [...orders.values()].map((order) => startClosing(order, { reason, actor: SYSTEM, at: now })),
    );
    await startCloseSagas(tx, lease, taken);
    return taken;
  });
}

async function startCloseSagas(
  tx: Transaction,
  { owner }: CloseOrderDeps["lease"],
  ids: readonly string[],
): Promise<void> {
  const sagas = ids.map((id) => ({ id, type: "close-order" as const, context: {} }));
  await startSagas(tx, sagas, { owner, leaseMs: CLOSE_LEASE_MS });
}

export interface CloseBatch {
  readonly ids: readonly string[];
  readonly timeoutMs?: number;
  /** Failed tries before this one. */
  readonly attempts: number;
}

/**
 * Asks for the last word on orders that are `closing` and carries it out. Never rejects: orders it
 * could not end stay `closing` and are tried again. Returns the others as they are now.
 */
export async function closeOrders(
  deps: CloseOrderDeps,
  caller: Caller,
  { ids, timeoutMs = CLOSE_TIMEOUT_MS, attempts }: CloseBatch,
): Promise<ReadonlyMap<string, Order>> {
  try {
    const { items } = await call(
      caller,
      "payment.close",
      { order_ids: [...ids] },
      { timeout: timeoutMs },
    );
    await deps.failpoint(ORDER_FAILPOINTS.closeAfterPayments);
    const ended = await endClosing(deps, ids, items);
    await deps.failpoint(ORDER_FAILPOINTS.closeAfterEnd);
    return ended;
  } catch (error) {
    await tryAgainLater(deps, { ids, attempts }, error);
    return new Map();
  }
}

async function tryAgainLater(
  { database, log, random }: CloseOrderDeps,
  { ids, attempts }: CloseBatch,
  error: unknown,
): Promise<void> {
  log.warn({ err: error, orders: ids.length, attempts }, "orders could not be closed yet");
  const delayMs = backoffDelayMs(RETRY, attempts + 1, random);
  // When this fails as well, the end of the lease brings the sagas back.
  await postponeSagas(database, "close-order", { ids, delayMs, error }).catch((lost: unknown) =>
    log.warn({ err: lost }, "close sagas could not be postponed"),
  );
}

async function endClosing(
  { database, log, onEvents }: CloseOrderDeps,
  ids: readonly string[],
  answers: readonly CloseAnswer[],
): Promise<ReadonlyMap<string, Order>> {
  const byOrder = new Map(answers.map((answer) => [answer.order_id, answer]));
  assert(byOrder.size === ids.length, "payment.close answers every order");
  const decisions = await database.transaction("order.close.end", async (tx) => {
    const { orders, now } = await lockOrders(tx, ids);
    const ended = [...orders.values()].flatMap(
      (order) => decideEnd(order, must(byOrder.get(order.id), "an answer"), now, log) ?? [],
    );
    await writeDecisions(tx, ended);
    const done = ended.map(({ state }) => state.id);
    await finishSagas(tx, "close-order", { ids: done, status: "done" });
    return ended;
  });
  if (decisions.some(({ events }) => events.length > 0)) onEvents();
  return new Map(decisions.map(({ state }) => [state.id, state]));
}

/** Undefined for an order that contradicts the answer: it is left for people, others go on. */
function decideEnd(
  order: Order,
  { outcome, payment_id: paymentId, paid_at: paidAt }: CloseAnswer,
  now: Date,
  log: Log,
): OrderDecision | undefined {
  try {
    if (outcome === "closed") return cancel(order, now);
    const payment = {
      paymentId: must(paymentId, "the payment that was captured"),
      paidAt: new Date(must(paidAt, "when it was captured")),
    };
    return pay(order, payment, now);
  } catch (error) {
    if (!isPlatformError(error)) throw error;
    const { id, status } = order;
    log.error({ err: error, order_id: id, status, outcome }, "an order contradicts its payment");
    return undefined;
  }
}
