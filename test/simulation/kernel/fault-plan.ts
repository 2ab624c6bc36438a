// Which fault happens at which boundary. A boundary is a place where the platform waits for something
// outside its process; it is counted and named, and the plan may answer with a fault.
import type { Random } from "./seeded-random.ts";
import { pick } from "./seeded-random.ts";

/**
 * - crash_before, crash_after: the process is killed before the effect, or between it and its answer
 * - lost_request: no effect and no answer
 * - lost_reply: the effect and no answer
 * - late: no answer; the effect comes when nobody waits for it any more
 * - refused: the server undoes what it was doing (deadlock, restart, a full stream)
 */
export const FAULTS = [
  "crash_before",
  "crash_after",
  "lost_request",
  "lost_reply",
  "late",
  "refused",
] as const;
export type Fault = (typeof FAULTS)[number];

export interface PlannedFault {
  /** Counted from 0 over the boundaries of a schedule. */
  readonly boundary: number;
  readonly fault: Fault;
}

export interface Met {
  readonly label: string;
  readonly faults: readonly Fault[];
}

export interface FaultPlan {
  /** Asked once at each boundary, with what may happen there. */
  at(label: string, faults: readonly Fault[]): Fault | undefined;
  /** Boundaries count from here on, and faults happen. */
  arm(): void;
  /** No faults from here on. */
  heal(): void;
  readonly met: readonly Met[];
  /** `label fault` of what happened. */
  readonly happened: readonly string[];
}

abstract class Plan implements FaultPlan {
  readonly met: Met[] = [];
  readonly happened: string[] = [];
  #isArmed = false;

  at(label: string, faults: readonly Fault[]): Fault | undefined {
    if (!this.#isArmed) return undefined;
    const index = this.met.push({ label, faults }) - 1;
    const fault = this.choose(index, faults);
    if (fault !== undefined) this.happened.push(`${label} ${fault}`);
    return fault;
  }

  arm(): void {
    this.#isArmed = true;
  }

  heal(): void {
    this.#isArmed = false;
  }

  protected abstract choose(index: number, faults: readonly Fault[]): Fault | undefined;
}

class FixedPlan extends Plan {
  readonly #planned: ReadonlyMap<number, Fault>;

  constructor(planned: readonly PlannedFault[]) {
    super();
    this.#planned = new Map(planned.map(({ boundary, fault }) => [boundary, fault]));
  }

  protected override choose(index: number, faults: readonly Fault[]): Fault | undefined {
    const fault = this.#planned.get(index);
    return fault !== undefined && faults.includes(fault) ? fault : undefined;
  }
}

class RandomPlan extends Plan {
  readonly #random: Random;
  readonly #share: number;

  constructor(random: Random, share: number) {
    super();
    this.#random = random;
    this.#share = share;
  }

  protected override choose(_index: number, faults: readonly Fault[]): Fault | undefined {
    return this.#random() < this.#share ? pick(this.#random, faults) : undefined;
  }
}

export function fixedFaults(planned: readonly PlannedFault[]): FaultPlan {
  return new FixedPlan(planned);
}

/** @param share of the boundaries at which a fault happens. */
export function randomFaults(random: Random, share: number): FaultPlan {
  return new RandomPlan(random, share);
}
