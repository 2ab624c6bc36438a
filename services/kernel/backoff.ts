// Retry delays: exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015).

export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Upper bound of the delay before try `attempt` (1 = first retry), without jitter. Milliseconds. */
export function backoffCeilingMs({ baseMs, maxMs }: Backoff, attempt: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30));
}

/** A delay in [ceiling / 2, ceiling]: half fixed, half random, so that retries never come at once. */
export function backoffDelayMs(backoff: Backoff, attempt: number, random: () => number): number {
  const ceilingMs = backoffCeilingMs(backoff, attempt);
  return Math.round(ceilingMs / 2 + (random() * ceilingMs) / 2);
}
