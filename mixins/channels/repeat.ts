// Small background work that is done again and again and may fail now and then.
import { type BackgroundLoop, createBackgroundLoop } from "../background-loop.ts";
import type { Log } from "../log.ts";

export type Repeated = Pick<BackgroundLoop, "start" | "stop">;

/** Runs `work`, then waits `intervalMs`, for ever. A failure is logged and waits like a success. */
export function repeatEvery(intervalMs: number, log: Log, work: () => Promise<void>): Repeated {
  return createBackgroundLoop({
    name: "repeated",
    log,
    random: () => 0,
    turn: async () => {
      await work().catch((error: unknown) => {
        log.warn({ err: error }, "background work failed");
      });
      return intervalMs;
    },
  });
}
