// What channels whose provider knows one charge at a time have in common: closing one without losing
// money that was taken meanwhile, and doing so for many with a few at once.
import { PlatformError } from "../../contracts/errors.ts";
import type { ChargeState } from "./channel.ts";

/** Requests to one provider at the same time. */
const AT_ONCE_MAX = 8;

export interface ChargeSteps {
  /** `unknown`: the provider has no such charge. */
  readonly query: (paymentId: string) => Promise<ChargeState | "unknown">;
  /** False when the provider refused, perhaps because money has been taken. */
  readonly end: (paymentId: string) => Promise<boolean>;
}

/** Asks first and after a refusal: a provider refuses to close what is paid. */
export async function closeCharge(steps: ChargeSteps, paymentId: string): Promise<ChargeState> {
  const before = await steps.query(paymentId);
  if (before === "unknown") return closed(paymentId);
  if (before.status !== "open") return before;
  if (await steps.end(paymentId)) return closed(paymentId);
  const after = await steps.query(paymentId);
  if (after === "unknown") return closed(paymentId);
  if (after.status === "open") throw providerFailure("a charge could not be closed");
  return after;
}

export async function queryCharge(steps: ChargeSteps, paymentId: string): Promise<ChargeState> {
  const state = await steps.query(paymentId);
  return state === "unknown" ? { ...closed(paymentId), status: "open" } : state;
}

function closed(paymentId: string): ChargeState {
  return { paymentId, status: "closed", amount: 0, providerRef: "" };
}

/** Results at the same index; the first failure rejects. */
export async function fewAtOnce<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE_MAX) {
    results.push(...(await Promise.all(items.slice(start, start + AT_ONCE_MAX).map(work))));
  }
  return results;
}

/** @param what is for logs; it must not repeat what the provider said. */
export function providerFailure(what: string): PlatformError {
  const error = new PlatformError("PAYMENT_PROVIDER_UNAVAILABLE");
  error.cause = new Error(what);
  return error;
}
