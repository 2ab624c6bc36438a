// Time as a port. Decisions about money and stock use the database clock; this one serves
// time-outs, logs and ids. Never compare two machines' now().

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May step backwards. */
  now(): number;
  /** Monotonic clock in milliseconds; for durations and deadlines inside this process only. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
