// Small background work that is done again and again and may fail now and then.
import type { Log } from "../log.ts";
import { pause } from "./timing.ts";

export interface Repeated {
  start(): void;
  /** Resolves when the turn under way is over. */
  stop(): Promise<void>;
}

/** Runs `work`, then waits `intervalMs`, for ever. A failure is logged and waits like a success. */
export function repeatEvery(intervalMs: number, log: Log, work: () => Promise<void>): Repeated {
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await work().catch((error: unknown) => log.warn({ err: error }, "background work failed"));
      await pause(intervalMs, stopping.signal);
    }
  };
  return {
    start() {
      running = run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
