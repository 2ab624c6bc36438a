// Tells the gate that this process is alive, from its first batch on: an owner that is silent for
// too long counts as dead, and what it has not committed is given up.
import { repeatEvery, type Repeated } from "../../mixins/channels/repeat.ts";
import type { Log } from "../../mixins/log.ts";
import { type Gate, GATE_HEARTBEAT_MS } from "./gate.ts";

export interface Heartbeat {
  /** To be awaited before a batch: nobody may own pending orders unheard. Rejects with the gate. */
  begin(): Promise<void>;
  stop(): Promise<void>;
}

export function createHeartbeat(gate: Gate, owner: string, log: Log): Heartbeat {
  let first: Promise<void> | undefined;
  let beats: Repeated | undefined;

  const start = async (): Promise<void> => {
    await gate.heartbeat(owner);
    beats = repeatEvery(GATE_HEARTBEAT_MS, log, async () => {
      // While the server is away nobody can look for a heartbeat either.
      await gate.heartbeat(owner).catch(() => undefined);
    });
    beats.start();
  };

  return {
    begin() {
      first ??= start().catch((error: unknown) => {
        first = undefined;
        throw error;
      });
      return first;
    },
    async stop() {
      await first?.catch(() => undefined);
      await beats?.stop();
    },
  };
}
