// From buyers to answers: all of one turn and sale in one `seckill.admit`, their winners in one
// `seckill.outcome`. An order id is told only after its commit; an answer that cannot be had is never
// made up: no promise, no "sold out".
import type { Log } from "../../../mixins/log.ts";
import {
  ADMISSION_BATCH_MAX,
  type Admission,
  type AdmissionOutcome,
  type Candidate,
} from "../../contracts/seckill.ts";
import { must } from "../../kernel/assert.ts";
import type { Clock } from "../../kernel/clock.ts";
import { type BuyAnswer, refusal, refusedAs } from "./answers.ts";
import { createTurnBatches } from "./turn-batches.ts";

/** A buyer waits this long for his commit, from his arrival on; then he is told to wait. */
export const ANSWER_WAIT_MS = 300;

export interface Attempt {
  readonly saleId: string;
  readonly userId: string;
  /** The same id again is the same attempt. */
  readonly attemptId: string;
  /** By the monotonic clock. */
  readonly arrivedMs: number;
  /** Called once. */
  answer(answer: BuyAnswer): void;
}

/** The sale's service, as the gateway reaches it. */
export interface AdmissionPort {
  admit(saleId: string, candidates: readonly Candidate[]): Promise<readonly Admission[]>;
  outcome(
    saleId: string,
    orderIds: readonly string[],
    waitMs: number,
  ): Promise<readonly AdmissionOutcome[]>;
}

export interface AdmissionParts {
  readonly port: AdmissionPort;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of a sale that had no unit for somebody. */
  readonly onSoldOut: (saleId: string) => void;
}

export interface Admissions {
  submit(attempt: Attempt): void;
}

interface Winner {
  readonly attempt: Attempt;
  readonly orderId: string;
  /** Whether it is this attempt's own commit, not that of another one of the same buyer. */
  readonly isOwn: boolean;
}

export function createAdmissions(parts: AdmissionParts): Admissions {
  const { port, clock, log, onSoldOut } = parts;

  const arrivals = createTurnBatches<Attempt>(ADMISSION_BATCH_MAX, (saleId, attempts) => {
    void admit(saleId, attempts);
  });
  const winners = createTurnBatches<Winner>(ADMISSION_BATCH_MAX, (saleId, batch) => {
    void learn(saleId, batch);
  });

  async function admit(saleId: string, attempts: readonly Attempt[]): Promise<void> {
    let items: readonly Admission[];
    try {
      items = await port.admit(
        saleId,
        attempts.map(({ userId, attemptId }) => ({ user_id: userId, request_id: attemptId })),
      );
    } catch (error) {
      log.warn({ err: error, sale_id: saleId, buyers: attempts.length }, "admission fails");
      for (const attempt of attempts) attempt.answer(refusal("SERVICE_UNAVAILABLE"));
      return;
    }
    attempts.forEach((attempt, index) => {
      sort(attempt, items[index]);
    });
    if (items.some(({ outcome }) => outcome === "sold_out")) onSoldOut(saleId);
  }

  function sort(attempt: Attempt, item: Admission | undefined): void {
    if (item === undefined) {
      attempt.answer(refusal("SERVICE_UNAVAILABLE"));
      return;
    }
    const { outcome, order_id: orderId } = item;
    if (outcome === "committed") {
      attempt.answer({ kind: "queued", orderId: must(orderId, "the committed order") });
    } else if (outcome === "pending" || outcome === "in_progress") {
      winners.add(attempt.saleId, {
        attempt,
        orderId: must(orderId, "the order under way"),
        isOwn: outcome === "pending",
      });
    } else {
      attempt.answer(refusedAs(outcome, orderId));
    }
  }

  async function learn(saleId: string, batch: readonly Winner[]): Promise<void> {
    const firstMs = Math.min(...batch.map(({ attempt }) => attempt.arrivedMs));
    const waitMs = Math.max(0, Math.round(firstMs + ANSWER_WAIT_MS - clock.monotonic()));
    const outcomes = new Map<string, AdmissionOutcome>();
    try {
      const orderIds = [...new Set(batch.map(({ orderId }) => orderId))];
      for (const one of await port.outcome(saleId, orderIds, waitMs)) {
        outcomes.set(one.order_id, one);
      }
    } catch (error) {
      log.warn({ err: error, sale_id: saleId, buyers: batch.length }, "outcomes are not known");
    }
    for (const winner of batch) {
      winner.attempt.answer(answerOf(winner, outcomes.get(winner.orderId)));
    }
  }

  return { submit: (attempt) => arrivals.add(attempt.saleId, attempt) };
}

function answerOf(
  { orderId, isOwn }: Winner,
  known: Pick<AdmissionOutcome, "outcome" | "refusal" | "held_order_id"> | undefined,
): BuyAnswer {
  switch (known?.outcome) {
    case undefined:
    case "unknown":
      return { kind: "waiting", orderId };
    case "refused":
      return refusedAs(known.refusal ?? "busy", known.held_order_id);
    case "committed":
      // Another request of this buyer has bought it, and was told so.
      return isOwn ? { kind: "queued", orderId } : refusedAs("already", orderId);
  }
}
