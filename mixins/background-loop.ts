// Background work that says itself when it wants to be run again, that can be woken, and that a
// failure never ends: it is logged and tried again after a growing pause.
import { type Backoff, backoffDelayMs } from "../services/kernel/backoff.ts";
import { Alarm } from "./channels/timing.ts";
import type { Log } from "./log.ts";

export interface BackgroundLoop {
  start(): void;
  /** There is something to do now. */
  wake(): void;
  /** Resolves when the turn under way is over. */
  stop(): Promise<void>;
}

export interface BackgroundLoopOptions {
  readonly name: string;
  /** One turn. Returns how long to wait before the next one, in milliseconds; 0 = at once. */
  readonly turn: () => Promise<number>;
  readonly log: Log;
  readonly random: () => number;
}

const FAILURE_BACKOFF: Backoff = { baseMs: 250, maxMs: 5_000 };

export function createBackgroundLoop(options: BackgroundLoopOptions): BackgroundLoop {
  const { name, turn, log, random } = options;
  const alarm = new Alarm();
  let isStopping = false;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    let failures = 0;
    while (!isStopping) {
      let waitMs: number;
      try {
        waitMs = await turn();
        failures = 0;
      } catch (error) {
        failures += 1;
        waitMs = backoffDelayMs(FAILURE_BACKOFF, failures, random);
        log.warn({ err: error, loop: name, failures }, "background turn failed");
      }
      if (waitMs > 0) await alarm.wait(waitMs);
    }
  };

  return {
    start() {
      running ??= run();
    },
    wake: () => alarm.ring(),
    async stop() {
      isStopping = true;
      alarm.ring();
      await running;
    },
  };
}
