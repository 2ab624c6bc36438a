// Judges what clients heard against the shop as a sequential machine.
import { linearize, type Linearization } from "./linearize.ts";
import type { History } from "./operation.ts";
import { initialShop, keyOfShop, stepsOf } from "./shop-model.ts";

/** A buyer may be told "sold out" this long after a unit came back. */
export const STALE_SOLD_OUT_MAX_MS = 1_000;
const SHOWN_MAX = 12;

/** Undefined when the history can be explained, else what is wrong with it. */
export function faultOf(history: History): string | undefined {
  const verdict = explained(history);
  if (verdict.kind === "linearizable") return undefined;
  if (verdict.kind === "undecided") return "the history is too long to be judged";
  const operations = history.operations.filter(({ outcome }) => outcome !== "sold_out");
  const isStale = explained({ ...history, operations }).kind === "linearizable";
  const what = isStale ? "somebody was told sold out though there was a unit" : "no order explains";
  const { order, stuck } = verdict;
  return `${what}: after [${order.slice(-SHOWN_MAX).join("; ")}] cannot be [${stuck.slice(0, SHOWN_MAX).join("; ")}]`;
}

function explained(history: History): Linearization {
  const steps = stepsOf(history, STALE_SOLD_OUT_MAX_MS);
  return linearize(steps, initialShop(history.units), keyOfShop);
}
