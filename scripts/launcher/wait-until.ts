// Polling with a named bound: the one way the launcher waits for something it cannot be told about.
import { setTimeout as delay } from "node:timers/promises";

const POLL_INTERVAL_MS = 25;

export interface WaitOptions {
  /** Upper bound of the wait in milliseconds. */
  timeoutMs: number;
  /** Pause between two looks in milliseconds; 25 when not given. */
  intervalMs?: number;
}

/** True as soon as `check` answers true, false when the bound has passed first. */
export async function waitUntil(
  check: () => boolean | Promise<boolean>,
  { timeoutMs, intervalMs = POLL_INTERVAL_MS }: WaitOptions,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await check()) return true;
    if (performance.now() >= deadline) return false;
    await delay(intervalMs);
  }
}
