// Faults at named spots: a crash leaves everything as it is at that moment, a pause lets the rest of
// the platform go on meanwhile.
import type { Failpoint } from "../../services/kernel/failpoint.ts";

export interface PausedSpot {
  readonly reached: Promise<void>;
  resume(): void;
}

export interface Faults {
  readonly failpoint: Failpoint;
  /** The next one to come by ends there. Resolves when it has. */
  crashOnce(spot: string): Promise<void>;
  pauseOnce(spot: string): PausedSpot;
}

export class Crash extends Error {}

export function createFaults(): Faults {
  const armed = new Map<string, () => void | Promise<void>>();
  return {
    failpoint(spot) {
      const act = armed.get(spot);
      armed.delete(spot);
      return act?.();
    },
    crashOnce(spot) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      armed.set(spot, () => {
        resolve(undefined);
        throw new Crash(spot);
      });
      return promise.then(() => undefined);
    },
    pauseOnce(spot) {
      const reached = Promise.withResolvers<undefined>();
      const resumed = Promise.withResolvers<undefined>();
      armed.set(spot, async () => {
        reached.resolve(undefined);
        await resumed.promise;
      });
      return {
        reached: reached.promise.then(() => undefined),
        resume: () => resumed.resolve(undefined),
      };
    },
  };
}
