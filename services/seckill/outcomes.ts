// What became of admissions: this node's own attempts are waited for, the others are read from their
// rows. A row is the truth; no row means that nothing is known yet.
import type { Database } from "../../mixins/database/database.ts";
import type { AdmissionOutcome } from "../contracts/seckill.ts";
import type { Clock } from "../kernel/clock.ts";
import { readStates } from "./admission.repository.ts";
import type { Commits, FinalOutcome } from "./commits.ts";
import type { AdmissionState } from "./domain/admission.ts";
import { within } from "./within.ts";

const POLL_MS = 25;

export interface Outcomes {
  /** One per order, in order; waits at most `waitMs`. Errors: those of a read. */
  of(
    saleId: string,
    orderIds: readonly string[],
    waitMs: number,
  ): Promise<readonly AdmissionOutcome[]>;
}

export function createOutcomes(database: Database, commits: Commits, clock: Clock): Outcomes {
  const waitForOwn = async (orderIds: readonly string[], waitMs: number): Promise<void> => {
    const running = orderIds.flatMap((orderId) => commits.attempt(orderId)?.done ?? []);
    if (running.length > 0) await within(waitMs, Promise.all(running));
  };

  return {
    async of(_saleId, orderIds, waitMs) {
      const deadline = clock.monotonic() + waitMs;
      await waitForOwn(orderIds, waitMs);
      const known = new Map<string, AdmissionOutcome>();
      for (;;) {
        for (const orderId of orderIds) {
          const outcome = commits.outcome(orderId);
          if (outcome !== undefined) known.set(orderId, ownOutcome(orderId, outcome));
        }
        const others = orderIds.filter((id) => !known.has(id) && !commits.attempt(id));
        for (const [orderId, state] of await readStates(database, others)) {
          known.set(orderId, rowOutcome(orderId, state));
        }
        const hasEnded = others.every((orderId) => known.has(orderId));
        if (hasEnded || clock.monotonic() + POLL_MS > deadline) break;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      return orderIds.map((orderId) => known.get(orderId) ?? unknownOutcome(orderId));
    },
  };
}

function unknownOutcome(orderId: string): AdmissionOutcome {
  return { order_id: orderId, outcome: "unknown", refusal: null, held_order_id: null };
}

function ownOutcome(orderId: string, outcome: FinalOutcome): AdmissionOutcome {
  switch (outcome.kind) {
    case "committed":
      return { ...unknownOutcome(orderId), outcome: "committed" };
    case "refused": {
      const { refusal, heldOrderId } = outcome;
      return { order_id: orderId, outcome: "refused", refusal, held_order_id: heldOrderId };
    }
    case "void":
      return { ...unknownOutcome(orderId), outcome: "refused" };
    case "unknown":
      return unknownOutcome(orderId);
  }
}

/** A unit that was given back since had been committed, and was a promise that was kept. */
function rowOutcome(orderId: string, state: AdmissionState): AdmissionOutcome {
  return { ...unknownOutcome(orderId), outcome: state === "void" ? "refused" : "committed" };
}
