// Lets nobody in while the orders of those who were let in are not made: their backlog must not grow
// without bound. Nothing is decided for whoever is sent away; a buyer who has a unit is told so later.
import type { BackPressure } from "../../mixins/channels/back-pressure.ts";
import type { Admitter } from "./admit.ts";

export function admitUnderPressure(
  admitter: Admitter,
  pressure: Pick<BackPressure, "refuses">,
): Admitter {
  return {
    commits: admitter.commits,
    stop: () => admitter.stop(),
    async admit(saleId, candidates) {
      if (!pressure.refuses(candidates.length)) return await admitter.admit(saleId, candidates);
      return candidates.map(() => ({ outcome: "busy", order_id: null }));
    },
  };
}
