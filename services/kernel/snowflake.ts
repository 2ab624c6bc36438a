// Snowflake ids: 41 bits of milliseconds, 10 bits of worker, 12 bits of sequence, in a decimal
// string. Pure: who holds which worker id, and up to which time, is decided by a lease elsewhere.
// A window (floorMs, highWaterMs] of one worker belongs to one process alone. Inside it the counter
// only goes up, whatever the clock does, so no id is minted twice.
import { assert } from "./assert.ts";

/** 2025-01-01T00:00:00Z; 41 bits reach to 2094. */
export const SNOWFLAKE_EPOCH_MS = 1_735_689_600_000;
export const WORKER_IDS = 1_024;
const SEQUENCES_PER_MS = 4_096;
const TIME_MS_MAX = 2 ** 41 - 1;

const WORKER_SHIFT = 12n;
const TIME_SHIFT = 22n;

/** What a lease allows: times above `floorMs` up to `highWaterMs`, ms since the Unix epoch. */
export interface SnowflakeWindow {
  readonly workerId: number;
  readonly floorMs: number;
  readonly highWaterMs: number;
}

export interface SnowflakeCounter {
  /** The next id, above every earlier one, or undefined when the window is used up. */
  next(nowMs: number): string | undefined;
  /** Moves the upper end of the window; it never falls. */
  raise(highWaterMs: number): void;
  /** Goes on in another worker's window, above everything minted so far. */
  move(window: SnowflakeWindow): void;
  /** Time of the newest id, or the floor when there is none; ms since the Unix epoch. */
  lastMs(): number;
}

export function createSnowflakeCounter(initial: SnowflakeWindow): SnowflakeCounter {
  let window = checked(initial);
  let lastMs = window.floorMs;
  let sequence = SEQUENCES_PER_MS - 1;

  function next(clockMs: number): string | undefined {
    const nowMs = Math.floor(clockMs);
    // A clock that stepped back, or one beyond the window, does not count: the window is used up
    // from where it stands, and 4096 ids a millisecond last until the lease is renewed.
    if (nowMs > lastMs && nowMs <= window.highWaterMs) {
      lastMs = nowMs;
      sequence = 0;
    } else if (sequence + 1 < SEQUENCES_PER_MS) {
      sequence += 1;
    } else {
      if (lastMs + 1 > window.highWaterMs) return undefined;
      lastMs += 1;
      sequence = 0;
    }
    return snowflakeId(lastMs, window.workerId, sequence);
  }

  return {
    next,
    raise(highWaterMs) {
      window = checked({ ...window, highWaterMs: Math.max(window.highWaterMs, highWaterMs) });
    },
    move(to) {
      window = checked(to);
      lastMs = Math.max(lastMs, window.floorMs);
      sequence = SEQUENCES_PER_MS - 1;
    },
    lastMs: () => lastMs,
  };
}

function checked(window: SnowflakeWindow): SnowflakeWindow {
  const { workerId, floorMs, highWaterMs } = window;
  assert(workerId >= 0 && workerId < WORKER_IDS, "a worker id has 10 bits");
  assert(highWaterMs - SNOWFLAKE_EPOCH_MS <= TIME_MS_MAX, "the time has 41 bits");
  return { workerId, floorMs: Math.max(floorMs, SNOWFLAKE_EPOCH_MS), highWaterMs };
}

function snowflakeId(timeMs: number, workerId: number, sequence: number): string {
  const time = BigInt(timeMs - SNOWFLAKE_EPOCH_MS) << TIME_SHIFT;
  return String(time | (BigInt(workerId) << WORKER_SHIFT) | BigInt(sequence));
}

/** The parts of an id made here; for tests and for looking at a single id. */
export function snowflakeParts(id: string): {
  readonly timeMs: number;
  readonly workerId: number;
  readonly sequence: number;
} {
  const value = BigInt(id);
  return {
    timeMs: Number(value >> TIME_SHIFT) + SNOWFLAKE_EPOCH_MS,
    workerId: Number((value >> WORKER_SHIFT) & BigInt(WORKER_IDS - 1)),
    sequence: Number(value & BigInt(SEQUENCES_PER_MS - 1)),
  };
}
