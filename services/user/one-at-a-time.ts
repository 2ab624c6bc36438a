// Runs work with the same key one after the other, in this process. The login throttle counts a
// failure after the hash; without this, parallel guesses would all be checked before the first one
// is counted.
import { PlatformError } from "../contracts/errors.ts";

/** Pieces of work with one key that run or wait. */
export const WAITING_PER_KEY_MAX = 50;

interface Line {
  length: number;
  tail: Promise<unknown>;
}

export interface OneAtATime {
  /** Errors: those of `work`, and OVERLOADED when too many wait for this key. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createOneAtATime(): OneAtATime {
  const lines = new Map<string, Line>();
  return {
    async run(key, work) {
      const line = lines.get(key) ?? { length: 0, tail: Promise.resolve() };
      if (line.length >= WAITING_PER_KEY_MAX) throw new PlatformError("OVERLOADED");
      line.length += 1;
      lines.set(key, line);
      const turn = line.tail.then(work, work);
      line.tail = turn.catch(() => undefined);
      try {
        return await turn;
      } finally {
        line.length -= 1;
        if (line.length === 0) lines.delete(key);
      }
    },
  };
}
