// Ends the chance to pay orders, and tells for each whether its money was captured.
//
//   tx 1   lock orders and payments · apply stored callbacks · mark `closing`: nothing new is opened
//          │ orders without an open payment are closed (or captured) already
//          ▼
//   HTTP   the provider closes what is still open, or tells that it has captured it
//          ▼
//   tx 2   the same locks · callbacks stored meanwhile first, then the provider's word · `closed`
//
// `closed_at` is the tombstone: it refuses every later create, also for an order that never had a
// payment, and makes every later success a late one. Every part can be repeated. While a provider
// does not answer, nothing is decided about the orders it was asked for: the caller asks again.
// Orders that are to be closed at the same time go this way together, whoever asked for them.
import {
  type CommitQueue,
  createCommitQueue,
  Refusal,
} from "../../mixins/database/commit-queue.ts";
import type { Database, Transaction } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import { isPlatformError, PlatformError } from "../contracts/errors.ts";
import { assert, must } from "../kernel/assert.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { type ApplyDeps, tellSettled } from "./apply-callbacks.ts";
import { insertCallbacks, type NewCallback } from "./callback.repository.ts";
import type { ChargeState } from "./channels/channel.ts";
import type { Channels } from "./channels/channels.ts";
import type { Payment } from "./domain/payment.ts";
import { settle, type Settlement } from "./domain/settlement.ts";
import {
  accountOf,
  awaitOrders,
  lockAccounts,
  markClosed,
  markClosing,
} from "./payment.repository.ts";
import { writeSettlements } from "./settlement.repository.ts";

/** Orders of one batch. */
const BATCH_MAX = 200;
const QUEUE_MAX = 8_192;

export const CLOSE_FAILPOINTS = {
  afterClosing: "payment.close.after_closing",
  afterProvider: "payment.close.after_provider",
  afterCommit: "payment.close.after_commit",
} as const;

export interface CloseDeps {
  readonly database: Database;
  readonly ids: IdGenerator;
  readonly channels: Channels;
  readonly log: Log;
  readonly failpoint: Failpoint;
  readonly onSettled: ApplyDeps["onSettled"];
}

export interface ClosedOrder {
  readonly orderId: string;
  readonly captured: Settlement["captured"];
}

export interface Closer {
  /**
   * One answer per order, at the same index. Errors: PAYMENT_PROVIDER_UNAVAILABLE, OVERLOADED,
   * SERVICE_UNAVAILABLE: ask again with the same orders.
   */
  close(orderIds: readonly string[]): Promise<readonly ClosedOrder[]>;
  drain(): Promise<void>;
}

export function createCloser(deps: CloseDeps): Closer {
  const queue: CommitQueue<string, ClosedOrder> = createCommitQueue({
    name: "payment.close",
    batchSizeMax: BATCH_MAX,
    queueLengthMax: QUEUE_MAX,
    commit: (orderIds) => closeBatch(deps, orderIds),
  });
  return {
    close: (orderIds) => Promise.all(orderIds.map((orderId) => queue.submit(orderId))),
    drain: () => queue.drain(),
  };
}

async function closeBatch(
  deps: CloseDeps,
  orderIds: readonly string[],
): Promise<readonly (ClosedOrder | Refusal)[]> {
  const begun = await runSettling(deps, orderIds, (tx) => beginClosing(deps, tx, orderIds));
  const decided = new Map<string, Settlement | Refusal>(begun.map((one) => [one.orderId, one]));
  const pending = begun.flatMap((settlement) => settlement.pending);
  if (pending.length > 0) {
    await deps.failpoint(CLOSE_FAILPOINTS.afterClosing);
    for (const [orderId, ended] of await endPending(deps, pending)) decided.set(orderId, ended);
  }
  await deps.failpoint(CLOSE_FAILPOINTS.afterCommit);
  return orderIds.map((orderId) => {
    const outcome = must(decided.get(orderId), "an outcome for each order");
    return outcome instanceof Refusal ? outcome : { orderId, captured: outcome.captured };
  });
}

/** What became of the orders of these open payments; a refusal where the provider is away. */
async function endPending(
  deps: CloseDeps,
  pending: readonly Payment[],
): Promise<ReadonlyMap<string, Settlement | Refusal>> {
  const orderIds = [...new Set(pending.map(({ orderId }) => orderId))];
  const states = await askProviders(deps, pending).catch((error: unknown) => {
    if (isPlatformError(error)) return new Refusal(error as PlatformError);
    throw error;
  });
  await deps.failpoint(CLOSE_FAILPOINTS.afterProvider);
  if (states instanceof Refusal) return new Map(orderIds.map((orderId) => [orderId, states]));
  const ended = await runSettling(deps, orderIds, (tx) =>
    finishClosing(deps, { tx, orderIds, pending, states }),
  );
  return new Map(ended.map((settlement) => [settlement.orderId, settlement]));
}

async function runSettling(
  deps: CloseDeps,
  orderIds: readonly string[],
  work: (tx: Transaction) => Promise<readonly Settlement[]>,
): Promise<readonly Settlement[]> {
  const settlements = await deps.database.transaction("payment.close", work, {
    // The work is idempotent: once nobody holds the orders any more it can simply run again.
    resolve: async (tx) => {
      await awaitOrders(tx, orderIds);
      return { outcome: "not_committed" };
    },
  });
  tellSettled(deps, settlements);
  return settlements;
}

async function beginClosing(
  { ids }: CloseDeps,
  tx: Transaction,
  orderIds: readonly string[],
): Promise<readonly Settlement[]> {
  const { accounts } = await lockAccounts(tx, orderIds, { adds: true, callbacks: true });
  const settlements = [...accounts.values()].map((account) => settle(account));
  await writeSettlements(tx, settlements, ids);
  const unpaid = settlements.filter(({ captured }) => captured === null);
  const open = unpaid.filter(({ pending }) => pending.length > 0);
  await markClosing(tx, idsOf(open));
  await markClosed(tx, idsOf(unpaid.filter(({ pending }) => pending.length === 0)));
  return settlements;
}

function idsOf(settlements: readonly Settlement[]): readonly string[] {
  return settlements.map(({ orderId }) => orderId);
}

async function askProviders(
  { channels }: CloseDeps,
  pending: readonly Payment[],
): Promise<ReadonlyMap<string, ChargeState>> {
  const byChannel = [...Map.groupBy(pending, ({ channel }) => channel)];
  const answers = await Promise.all(
    byChannel.map(([name, payments]) => channels.require(name).close(payments.map(({ id }) => id))),
  );
  return new Map(answers.flat().map((state) => [state.paymentId, state]));
}

interface Ending {
  readonly tx: Transaction;
  readonly orderIds: readonly string[];
  readonly pending: readonly Payment[];
  readonly states: ReadonlyMap<string, ChargeState>;
}

async function finishClosing(
  { ids, log }: CloseDeps,
  { tx, orderIds, pending, states }: Ending,
): Promise<readonly Settlement[]> {
  await lockAccounts(tx, orderIds, { adds: false, callbacks: false });
  const told = pending.flatMap((payment) => capturesOf(payment, states.get(payment.id), log));
  await insertCallbacks(tx, told);
  const locked = await lockAccounts(tx, orderIds, { adds: false, callbacks: true });
  const closable = new Set([...states.values()].map(({ paymentId }) => paymentId));
  const settlements = orderIds.map((orderId) => settle(accountOf(locked, orderId), closable));
  await writeSettlements(tx, settlements, ids);
  await markClosed(tx, idsOf(settlements.filter(({ captured }) => captured === null)));
  const isStillOpen = settlements.some((one) => one.captured === null && one.pending.length > 0);
  assert(!isStillOpen, "an order that closes has no payment left that the provider was not asked");
  return settlements;
}

/** What the provider told when it was asked, in the form of the callback it may still send. */
function capturesOf(
  payment: Payment,
  state: ChargeState | undefined,
  log: Log,
): readonly NewCallback[] {
  if (state === undefined || state.status === "open") {
    throw new PlatformError("PAYMENT_PROVIDER_UNAVAILABLE");
  }
  if (state.status === "closed") return [];
  if (state.amount !== payment.amount) {
    // Nobody can say what this money is for: it is left to reconciliation and a person.
    const fields = { payment_id: payment.id, amount: payment.amount, told: state.amount };
    log.error(fields, "the provider captured another amount than the payment's");
    return [];
  }
  return [
    {
      channel: payment.channel,
      webhookId: `query:${payment.id}`,
      paymentId: payment.id,
      source: "query",
      outcome: "succeeded",
      amount: state.amount,
      providerRef: state.providerRef,
      payloadHash: "0".repeat(64),
    },
  ];
}
