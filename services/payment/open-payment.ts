// Opens the payment of an order: the row first, in one transaction with the others that came
// meanwhile, then the provider's charge over HTTP. A crash or a provider that is away in between
// leaves an open payment; the next call answers the same one and registers its charge again.
import {
  type CommitQueue,
  createCommitQueue,
  Refusal,
} from "../../mixins/database/commit-queue.ts";
import type { Database, Transaction } from "../../mixins/database/database.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import type { Channel } from "./channels/channel.ts";
import type { Channels } from "./channels/channels.ts";
import { openPayment, type Payable } from "./domain/opening.ts";
import type { Payment } from "./domain/payment.ts";
import {
  accountOf,
  awaitOrders,
  insertPayments,
  keepPayUrl,
  lockAccounts,
  ORDER_BATCH_MAX,
} from "./payment.repository.ts";

const QUEUE_MAX = 4_096;

export const OPEN_FAILPOINTS = {
  beforeCommit: "payment.open.before_commit",
  beforeRegister: "payment.open.before_register",
  afterRegister: "payment.open.after_register",
} as const;

interface OpenCommand extends Payable {
  /** The id of the payment if one is opened. */
  readonly newId: string;
}

export interface OpenDeps {
  readonly database: Database;
  readonly ids: IdGenerator;
  readonly channels: Channels;
  readonly failpoint: Failpoint;
}

export interface Opener {
  /**
   * The order's open payment, or the one it was paid with. Errors: PAYMENT_CHANNEL_UNAVAILABLE,
   * PAYMENT_ORDER_CLOSED, PAYMENT_PROVIDER_UNAVAILABLE (call again), OVERLOADED.
   */
  open(payable: Payable): Promise<Payment>;
  drain(): Promise<void>;
}

export function createOpener(deps: OpenDeps): Opener {
  const queue: CommitQueue<OpenCommand, Payment> = createCommitQueue({
    name: "payment.open",
    batchSizeMax: ORDER_BATCH_MAX,
    queueLengthMax: QUEUE_MAX,
    commit: (commands) => openBatch(deps, commands),
  });
  return {
    async open(payable) {
      deps.channels.require(payable.channel);
      const payment = await queue.submit({ ...payable, newId: deps.ids.next() });
      if (payment.status !== "pending") return payment;
      await deps.failpoint(OPEN_FAILPOINTS.beforeRegister);
      const registered = await register(deps, deps.channels.require(payment.channel), payment);
      await deps.failpoint(OPEN_FAILPOINTS.afterRegister);
      return registered;
    },
    drain: () => queue.drain(),
  };
}

async function register(
  { database }: OpenDeps,
  channel: Channel,
  payment: Payment,
): Promise<Payment> {
  const [payUrl = null] = await channel.register([chargeOf(payment)]);
  if (payUrl === null || payUrl === payment.payUrl) return payment;
  await keepPayUrl(database, payment.id, payUrl);
  return { ...payment, payUrl };
}

export function chargeOf(payment: Payment): Parameters<Channel["register"]>[0][number] {
  const { id, orderId, amount, currency, expiresAt } = payment;
  return { paymentId: id, orderId, amount, currency, expiresAt };
}

async function openBatch(
  { database, failpoint }: OpenDeps,
  commands: readonly OpenCommand[],
): Promise<readonly (Payment | Refusal)[]> {
  const orderIds = commands.map(({ orderId }) => orderId);
  return await database.transaction<readonly (Payment | Refusal)[]>(
    "payment.open",
    async (tx) => {
      const outcomes = await decideBatch(tx, commands, orderIds);
      await failpoint(OPEN_FAILPOINTS.beforeCommit);
      return outcomes;
    },
    {
      // The work finds what it did before: once nobody holds the orders it can simply run again.
      resolve: async (tx) => {
        await awaitOrders(tx, orderIds);
        return { outcome: "not_committed" };
      },
    },
  );
}

async function decideBatch(
  tx: Transaction,
  commands: readonly OpenCommand[],
  orderIds: readonly string[],
): Promise<readonly (Payment | Refusal)[]> {
  const locked = await lockAccounts(tx, orderIds, { adds: true, callbacks: false });
  const opened = new Map<string, Payment>();
  const outcomes = commands.map((command) => {
    const known = opened.get(command.orderId);
    if (known !== undefined) return known;
    const opening = openPayment(accountOf(locked, command.orderId), command, locked.now);
    if (opening.kind === "refused") return new Refusal(new PlatformError("PAYMENT_ORDER_CLOSED"));
    if (opening.kind === "opened") opened.set(command.orderId, opening.payment);
    return opening.payment;
  });
  await insertPayments(tx, [...opened.values()]);
  return outcomes;
}
