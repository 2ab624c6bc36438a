// Work that a node looks for again and again: at once when told so, else after a pause. A turn that
// fails is logged and repeated after the pause; nothing that waits is lost by it.
import { Alarm } from "../../mixins/channels/timing.ts";
import type { Log } from "../../mixins/log.ts";

export interface BackgroundLoop {
  start(): void;
  /** There is something to do now. */
  wake(): void;
  /** Resolves when the turn under way is over. */
  stop(): Promise<void>;
}

/** @param turn answers whether there may be more to do at once. */
export function backgroundLoop(options: {
  readonly name: string;
  readonly pauseMs: number;
  readonly log: Log;
  readonly turn: () => Promise<boolean>;
}): BackgroundLoop {
  const { name, pauseMs, log, turn } = options;
  const alarm = new Alarm();
  let isStopping = false;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    while (!isStopping) {
      const hasMore = await turn().catch((error: unknown) => {
        log.warn({ err: error, loop: name }, "background work failed; it is tried again");
        return false;
      });
      if (!hasMore) await alarm.wait(pauseMs);
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
