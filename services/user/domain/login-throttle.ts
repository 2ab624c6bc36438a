// How many failed logins are too many. Pure; the counters live in the database, so that they hold
// over all nodes and restarts.
import { MINUTE_MS } from "../../kernel/clock.ts";

export const LOGIN_FAILURE_WINDOW_MS = 15 * MINUTE_MS;
export const FAILURES_PER_ACCOUNT_AND_ADDRESS_MAX = 5;
export const FAILURES_PER_ADDRESS_MAX = 50;

export interface FailureCount {
  readonly failures: number;
  /** Time until the window ends and the count starts anew, ms. */
  readonly windowLeftMs: number;
}

/** Seconds to wait before the next try, at least 1; undefined when a try is allowed. */
export function throttledForS(count: FailureCount | undefined, limit: number): number | undefined {
  if (count === undefined || count.windowLeftMs <= 0 || count.failures < limit) return undefined;
  return Math.max(1, Math.ceil(count.windowLeftMs / 1_000));
}
