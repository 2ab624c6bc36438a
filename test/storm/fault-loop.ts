// Faults at seeded moments for as long as a campaign runs: every kind once in a round, in an order of its own.
// One at a time, so that the platform's supervisor, which gives up on what dies all the time, never does.
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../scripts/demo/buyer-plan.ts";
import { SALE_FAULTS, type SaleFault } from "./sale-faults.ts";
import type { Stage } from "./stage.ts";

/** Those that need a crowd of their own strike at the opening of a sale instead. */
const KINDS: readonly SaleFault[] = [
  "redis-kill",
  "redis-flush",
  "redis-pause",
  "mysql-kill",
  "mysql-pause",
  "nats-kill",
  "nats-pause",
  "edge-kill",
  "core-kill",
  "worker-kill",
];
/** A day of them. */
const ROUNDS_MAX = 2_000;
const REST_MS = { min: 3_000, max: 8_000 } as const;
/** How long what is paused stands still. */
const HOLD_MS = { min: 500, max: 4_000 } as const;

export interface FaultLoop {
  /** Resolves when the fault under way is healed. Rejects when one could not be. */
  stop(): Promise<void>;
}

export function startFaultLoop(
  stage: Stage,
  seed: number,
  onFault: (fault: SaleFault) => void,
): FaultLoop {
  const random = seededRandom(seed);
  const between = ({ min, max }: { readonly min: number; readonly max: number }): number =>
    min + random() * (max - min);
  const stopping = new AbortController();
  const rest = (): Promise<void> =>
    delay(between(REST_MS), undefined, { signal: stopping.signal }).catch(() => undefined);

  const strike = async (fault: SaleFault): Promise<void> => {
    onFault(fault);
    const armed = await SALE_FAULTS[fault](stage);
    await armed.strike();
    try {
      await delay(between(HOLD_MS));
    } finally {
      await armed.heal();
    }
  };

  const run = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      for (const fault of shuffled(KINDS, random)) {
        await rest();
        if (stopping.signal.aborted) return;
        await strike(fault);
      }
    }
  };

  const running = run();
  running.catch(() => undefined);
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Every order is as likely as any other. */
function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  const drawn = items.map((item) => ({ item, at: random() }));
  return drawn.sort((left, right) => left.at - right.at).map(({ item }) => item);
}
