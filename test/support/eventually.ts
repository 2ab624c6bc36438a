// Waiting in tests: on a condition, with a bound, and with a sentence that says what did not happen.
import { AssertionError } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";

const POLL_INTERVAL_MS = 20;

export interface EventuallyOptions {
  /** Upper bound of the wait in milliseconds. */
  timeoutMs: number;
  /** What is waited for, as it shall stand in the failure: "the order is paid". */
  what: string;
  /** Pause between two checks in milliseconds; longer where a check itself is limited or costly. */
  intervalMs?: number;
}

/**
 * Repeats `check` until it answers something other than false, null or undefined, and returns that answer.
 * A check that throws counts as "not yet"; its last error is the cause of the failure.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs, what, intervalMs = POLL_INTERVAL_MS }: EventuallyOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await check();
      if (answer !== false && answer !== null && answer !== undefined) {
        return answer as Exclude<T, false | null | undefined>;
      }
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadline) break;
    await delay(intervalMs);
  }
  const because = lastError instanceof Error ? `: ${lastError.message}` : "";
  const failure = new AssertionError({ message: `not within ${timeoutMs} ms: ${what}${because}` });
  if (lastError !== undefined) failure.cause = lastError;
  throw failure;
}
