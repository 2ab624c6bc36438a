// Background work that decides itself when it wants to be run again, and that a failure never ends.
import { pause } from "../../mixins/channels/timing.ts";
import type { Log } from "../../mixins/log.ts";
import { type Backoff, backoffDelayMs } from "../kernel/backoff.ts";

export interface BackgroundLoop {
  start(): void;
  /** Resolves when the turn under way is over. */
  stop(): Promise<void>;
}

export interface BackgroundLoopOptions {
  readonly name: string;
  /** One turn. Returns how long to wait before the next one, in milliseconds. */
  readonly turn: () => Promise<number>;
  readonly log: Log;
  readonly random: () => number;
}

const FAILURE_BACKOFF: Backoff = { baseMs: 250, maxMs: 5_000 };

export function createBackgroundLoop(options: BackgroundLoopOptions): BackgroundLoop {
  const { name, turn, log, random } = options;
  const stopping = new AbortController();
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let waitMs: number;
      try {
        waitMs = await turn();
        failures = 0;
      } catch (error) {
        failures += 1;
        waitMs = backoffDelayMs(FAILURE_BACKOFF, failures, random);
        log.warn({ err: error, loop: name, failures }, "background turn failed");
      }
      await pause(waitMs, stopping.signal);
    }
  };

  return {
    start() {
      running ??= run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
