// Applies stored callbacks: one transaction for all orders whose callbacks piled up while the last
// one committed. Right after a callback is stored its node asks for it; what a crash leaves behind
// is found by the sweep of any node. Applying twice has no effect: the callback's row says so.
import { type CommitQueue, createCommitQueue } from "../../mixins/database/commit-queue.ts";
import { currentContext } from "../../mixins/context.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import type { EventOrigin } from "../../mixins/outbox/outbox.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { settle, type Settlement } from "./domain/settlement.ts";
import { awaitOrders, lockAccounts, ORDER_BATCH_MAX } from "./payment.repository.ts";
import { unappliedOrders, writeSettlements } from "./settlement.repository.ts";

/** Orders that may wait for the next transactions; what finds no room is left to the sweep. */
const QUEUE_MAX = 8_192;
/** Orders a sweep takes on in one turn. */
const SWEEP_MAX = 512;

export const APPLY_FAILPOINTS = {
  beforeCommit: "payment.apply.before_commit",
  afterCommit: "payment.apply.after_commit",
} as const;

export interface ApplyDeps {
  readonly database: Database;
  readonly ids: IdGenerator;
  readonly log: Log;
  readonly failpoint: Failpoint;
  /** Told after a commit: the outbox has news, or refunds wait. Must not throw. */
  readonly onSettled: (told: { readonly events: boolean; readonly refunds: boolean }) => void;
}

export interface Applier {
  /** Resolves when every callback of the order that was stored before has been applied. */
  apply(orderId: string): Promise<void>;
  /** Applies what nobody else has. Resolves with how many orders were looked at. */
  sweep(): Promise<number>;
  drain(): Promise<void>;
}

interface ApplyCommand {
  readonly orderId: string;
  /** The callback's request; the events of its order belong to it. */
  readonly origin?: EventOrigin | undefined;
}

export function createApplier(deps: ApplyDeps): Applier {
  const queue: CommitQueue<ApplyCommand, undefined> = createCommitQueue({
    name: "payment.apply",
    batchSizeMax: ORDER_BATCH_MAX,
    queueLengthMax: QUEUE_MAX,
    commit: (commands) => applyBatch(deps, commands),
  });
  return {
    async apply(orderId) {
      await queue.submit({ orderId, origin: currentContext() });
    },
    async sweep() {
      const orderIds = await unappliedOrders(deps.database, SWEEP_MAX);
      const results = await Promise.allSettled(
        orderIds.map((orderId) => queue.submit({ orderId })),
      );
      for (const [index, result] of results.entries()) {
        if (result.status === "fulfilled") continue;
        const fields = { err: result.reason as unknown, order_id: orderIds[index] };
        deps.log.error(fields, "stored callbacks could not be applied");
      }
      return orderIds.length;
    },
    drain: () => queue.drain(),
  };
}

async function applyBatch(
  deps: ApplyDeps,
  commands: readonly ApplyCommand[],
): Promise<readonly undefined[]> {
  const origins = new Map(commands.map(({ orderId, origin }) => [orderId, origin]));
  const orderIds = [...origins.keys()];
  const settlements = await deps.database.transaction<readonly Settlement[]>(
    "payment.apply",
    async (tx) => {
      const { accounts } = await lockAccounts(tx, orderIds, { adds: false, callbacks: true });
      const settled = [...accounts.values()]
        .filter((account) => account.callbacks.length > 0)
        .map((account) => settle(account))
        .map((settlement) => withOrigin(settlement, origins.get(settlement.orderId)));
      await writeSettlements(tx, settled, deps.ids);
      await deps.failpoint(APPLY_FAILPOINTS.beforeCommit);
      return settled;
    },
    {
      // The work is idempotent: once nobody holds the orders any more it can simply run again.
      resolve: async (tx) => {
        await awaitOrders(tx, orderIds);
        return { outcome: "not_committed" };
      },
    },
  );
  await deps.failpoint(APPLY_FAILPOINTS.afterCommit);
  tellSettled(deps, settlements);
  return commands.map(() => undefined);
}

function withOrigin(settlement: Settlement, origin: EventOrigin | undefined): Settlement {
  const events = settlement.events.map((event) => ({ ...event, origin: origin ?? {} }));
  return { ...settlement, events };
}

export function tellSettled(
  { onSettled }: Pick<ApplyDeps, "onSettled">,
  settlements: readonly Settlement[],
): void {
  onSettled({
    events: settlements.some(({ events }) => events.length > 0),
    refunds: settlements.some(({ changes }) => changes.some(({ refund }) => refund !== null)),
  });
}
