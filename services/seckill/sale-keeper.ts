// Carries on what sales are in the middle of: publishes and closings that a node left behind, and the
// end of those whose time is over. Any number of nodes may do it at once.
import type { ServiceBroker } from "moleculer";
import { repeatEvery, type Repeated } from "../../mixins/channels/repeat.ts";
import type { Log } from "../../mixins/log.ts";
import { SECOND_MS } from "../kernel/clock.ts";
import type { Sale } from "./domain/sale.ts";
import { findEndedSales, findSalesIn } from "./sale.repository.ts";
import { beginClosing, carryOnClosing, carryOnPublishing, type SaleLifeDeps } from "./sale-life.ts";

const TURN_INTERVAL_MS = 500;
/** Winners of the last moment have this long to be committed. */
export const CLOSE_GRACE_MS = 2 * SECOND_MS;

export function createSaleKeeper(
  deps: SaleLifeDeps & { readonly log: Log },
  broker: ServiceBroker,
): Repeated {
  return repeatEvery(TURN_INTERVAL_MS, deps.log, () => keepSales(deps, broker));
}

/** One turn; a sale that cannot be carried on does not keep the others from it. */
export async function keepSales(
  deps: SaleLifeDeps & { readonly log: Log },
  broker: ServiceBroker,
): Promise<void> {
  const { database, log } = deps;
  const each = async (sales: readonly Sale[], step: (sale: Sale) => Promise<unknown>) => {
    for (const sale of sales) {
      await step(sale).catch((error: unknown) => {
        log.warn({ err: error, sale_id: sale.id, status: sale.status }, "a sale waits");
      });
    }
  };
  await each(await findSalesIn(database, "publishing"), (sale) =>
    carryOnPublishing(deps, broker, sale),
  );
  await each(await findEndedSales(database, CLOSE_GRACE_MS), ({ id }) => beginClosing(deps, id));
  await each(await findSalesIn(database, "closing"), (sale) => carryOnClosing(deps, broker, sale));
}
