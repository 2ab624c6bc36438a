// One buyer's request, answered from its admission. 202 with an order id only after the commit; 202
// with a ticket when the commit is not known in time, which promises nothing.
import { type ActionResult } from "../contracts/actions.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Admission, AdmissionOutcome } from "../contracts/seckill.ts";
import { must } from "../kernel/assert.ts";
import type { Admitter } from "./admit.ts";
import type { Outcomes } from "./outcomes.ts";

/** A buyer waits this long for the commit. */
const ANSWER_WAIT_MS = 300;

export interface BuyDeps {
  readonly admitter: Admitter;
  readonly outcomes: Outcomes;
}

export interface BuyRequest {
  readonly saleId: string;
  readonly userId: string;
  /** The same id again is the same attempt. */
  readonly requestId: string;
}

/** Errors: the refusals of a sale, SECKILL_SALE_NOT_FOUND, OVERLOADED. */
export async function buy(
  { admitter, outcomes }: BuyDeps,
  { saleId, userId, requestId }: BuyRequest,
): Promise<ActionResult<"seckill.buy">> {
  const candidate = { user_id: userId, request_id: requestId };
  const [answer] = await admitter.admit(saleId, [candidate]);
  const { outcome, order_id: orderId } = must(answer, "an answer for the buyer");
  if (outcome === "committed") return queued(must(orderId, "the committed order"));
  if (outcome !== "pending" && outcome !== "in_progress") throw refusalError(outcome, orderId);
  const id = must(orderId, "the order under way");
  const [end] = await outcomes.of(saleId, [id], ANSWER_WAIT_MS);
  return answerOf(outcome, must(end, "what became of the order"));
}

function answerOf(
  outcome: "pending" | "in_progress",
  end: AdmissionOutcome,
): ActionResult<"seckill.buy"> {
  if (end.outcome === "unknown") return { ticket: ticketOf(end.order_id), status: "waiting" };
  if (end.outcome === "refused") throw refusalError(end.refusal ?? "busy", end.held_order_id);
  // Another request of this buyer has bought it.
  if (outcome === "in_progress") throw refusalError("already", end.order_id);
  return queued(end.order_id);
}

function queued(orderId: string): ActionResult<"seckill.buy"> {
  return { order_id: orderId, status: "queued" };
}

/** Opaque: it names the attempt for people who look into the logs, and promises nothing. */
export function ticketOf(orderId: string): string {
  return `t_${Buffer.from(orderId).toString("base64url")}`;
}

type RefusedOutcome = Exclude<Admission["outcome"], "pending" | "committed" | "in_progress">;

const ERRORS = {
  sold_out: "SECKILL_SOLD_OUT",
  not_started: "SECKILL_NOT_STARTED",
  ended: "SECKILL_ENDED",
  not_found: "SECKILL_SALE_NOT_FOUND",
  busy: "OVERLOADED",
} as const;

export function refusalError(outcome: RefusedOutcome, orderId: string | null): PlatformError {
  if (outcome !== "already") return new PlatformError(ERRORS[outcome]);
  return new PlatformError("SECKILL_ALREADY_PURCHASED", { order_id: orderId });
}
