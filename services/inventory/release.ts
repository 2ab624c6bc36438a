// Compensates a reserve, whether it happened, is happening, or never will: afterwards the order
// holds nothing and can never hold anything again.
import type { Database } from "../../mixins/database/database.ts";
import { isDuplicateKey } from "../../mixins/database/database-error.ts";
import type { Stock } from "./domain/stock.ts";
import { ReservationAppeared, settleOrders } from "./settle.ts";

/** A reserve that commits at the same moment is seen by the next run; there can be only one. */
const RUNS_MAX = 3;

/**
 * Releases what the order holds, or leaves a tombstone. Answers the SKUs that changed.
 * Errors: ORDER_ILLEGAL_TRANSITION when the order was paid and its units are sold.
 */
export async function releaseOrder(database: Database, orderId: string): Promise<readonly Stock[]> {
  for (let run = 1; ; run += 1) {
    try {
      return await database.transaction("inventory.release", (tx) =>
        settleOrders(tx, [{ orderId, action: "release", lines: [], isFlash: false }]),
      );
    } catch (error) {
      const hasAppeared = error instanceof ReservationAppeared || isDuplicateKey(error);
      if (!hasAppeared || run >= RUNS_MAX) throw error;
    }
  }
}
