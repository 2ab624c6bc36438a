// Compensates a reserve, whether it happened, is happening, or never will: afterwards the order
// holds nothing and can never hold anything again.
//
// Releases share commits as reserves do. One by one, each would lock the stock row of a wanted SKU
// for a commit of its own, and the reserves of a busy shop would starve behind what it has given up.
import { createCommitQueue } from "../../mixins/database/commit-queue.ts";
import type { Database } from "../../mixins/database/database.ts";
import { isDuplicateKey } from "../../mixins/database/database-error.ts";
import type { Stock } from "./domain/stock.ts";
import { ReservationAppeared, settleOrders } from "./settle.ts";

/** Orders of one transaction. */
const RELEASE_BATCH_MAX = 128;
/** Orders that may wait for the next transactions; one more is OVERLOADED, and asked for again. */
const RELEASE_QUEUE_MAX = 4_096;
/** A reserve that commits at the same moment is seen by the next run; there can be only one an order. */
const RUNS_MAX = 3;

export interface Releaser {
  /**
   * Releases what the order holds, or leaves a tombstone.
   * Errors: ORDER_ILLEGAL_TRANSITION when the order was paid and its units are sold, OVERLOADED.
   */
  release(orderId: string): Promise<void>;
  /** Commits what waits and refuses what comes later. */
  drain(): Promise<void>;
}

/** @param onReleased is told the SKUs that changed; must not reject. */
export function createReleaser(
  database: Database,
  onReleased: (changed: readonly Stock[]) => Promise<void>,
): Releaser {
  const queue = createCommitQueue<string, undefined>({
    name: "inventory.release",
    batchSizeMax: RELEASE_BATCH_MAX,
    queueLengthMax: RELEASE_QUEUE_MAX,
    commit: async (orderIds) => {
      await onReleased(await releaseOrders(database, orderIds));
      return orderIds.map(() => undefined);
    },
  });
  return { release: (orderId) => queue.submit(orderId), drain: () => queue.drain() };
}

/**
 * All of them or none. Answers the SKUs that changed.
 * Errors: ORDER_ILLEGAL_TRANSITION when one of them was paid.
 */
export async function releaseOrders(
  database: Database,
  orderIds: readonly string[],
): Promise<readonly Stock[]> {
  const settlements = orderIds.map(
    (orderId) => ({ orderId, action: "release", lines: [], isFlash: false }) as const,
  );
  for (let run = 1; ; run += 1) {
    try {
      return await database.transaction("inventory.release", (tx) => settleOrders(tx, settlements));
    } catch (error) {
      const hasAppeared = error instanceof ReservationAppeared || isDuplicateKey(error);
      if (!hasAppeared || run >= RUNS_MAX) throw error;
    }
  }
}
