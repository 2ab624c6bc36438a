// The scripts of the rate limiter, with names and replies.
import { defineScript } from "./script.ts";

export interface GcraReply {
  readonly isAllowed: boolean;
  readonly remaining: number;
  readonly retryAfterMs: number;
}

const FIELDS = 3;

/** Takes one request from each limit; a refused limit takes nothing. */
export const GCRA = defineScript("rate-limit/gcra", {
  keys: ["limit..."],
  args: ["interval_and_burst..."],
  reply(raw): readonly GcraReply[] {
    const numbers = raw as readonly number[];
    return Array.from({ length: numbers.length / FIELDS }, (_, index) => ({
      isAllowed: numbers[index * FIELDS] === 1,
      remaining: numbers[index * FIELDS + 1] ?? 0,
      retryAfterMs: numbers[index * FIELDS + 2] ?? 0,
    }));
  },
});
