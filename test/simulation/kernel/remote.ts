// A call over a boundary: request, effect, answer, and whatever can go wrong with the three.
import type { Fault, FaultPlan } from "./fault-plan.ts";
import type { Process, Simulation } from "./simulation.ts";

export interface RemoteCall<T> {
  readonly label: string;
  readonly faults: readonly Fault[];
  /** What the other side does. */
  readonly effect: () => T | Promise<T>;
  readonly timeoutMs: number;
  /** How the caller learns that there is no answer. */
  readonly timedOut: () => Error;
  /** What the other side refuses with when it does. */
  readonly refused?: () => Error;
}

export class Network {
  readonly simulation: Simulation;
  readonly faults: FaultPlan;

  constructor(simulation: Simulation, faults: FaultPlan) {
    this.simulation = simulation;
    this.faults = faults;
  }

  /** Which fault the plan wants at this boundary. A crash before the effect has happened already. */
  boundary(label: string, faults: readonly Fault[]): Fault | undefined {
    const { simulation } = this;
    const owner = simulation.current();
    const possible = owner === undefined ? withoutCrash(faults) : faults;
    const fault = this.faults.at(label, possible);
    if (fault !== undefined) simulation.note(`! ${label} ${fault}`);
    if (fault === "crash_before") owner?.die();
    return fault;
  }

  call<T>(call: RemoteCall<T>): Promise<T> {
    const { simulation } = this;
    const owner = simulation.current();
    const fault = this.boundary(call.label, call.faults);
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void, delayMs = simulation.latency()): void => {
        simulation.schedule(delayMs, owner, settle);
      };
      const act = (delayMs: number, then: (result: Promise<T>) => void): void => {
        simulation.schedule(delayMs, undefined, () => then(started(call.effect)));
      };
      const giveUp = (): void => answer(() => reject(call.timedOut()), call.timeoutMs);
      const ignore = (result: Promise<T>): void => void result.catch(() => undefined);
      switch (fault) {
        case "crash_before":
          return;
        case "crash_after":
          act(simulation.latency(), (result) => {
            ignore(result);
            void result.finally(() => owner?.die()).catch(() => undefined);
          });
          return;
        case "lost_request":
          giveUp();
          return;
        case "lost_reply":
          act(simulation.latency(), ignore);
          giveUp();
          return;
        case "late":
          act(call.timeoutMs * (1 + simulation.random()), ignore);
          giveUp();
          return;
        case "refused":
          answer(() => reject((call.refused ?? call.timedOut)()));
          return;
        case undefined:
          this.#undisturbed(call, { owner, resolve, reject });
      }
    });
  }

  /** The caller gives up on an answer that takes too long, whatever it will be. */
  #undisturbed<T>(
    { effect, timeoutMs, timedOut }: RemoteCall<T>,
    caller: {
      readonly owner: Process | undefined;
      readonly resolve: (value: T) => void;
      readonly reject: (error: unknown) => void;
    },
  ): void {
    const { simulation } = this;
    const { owner, resolve, reject } = caller;
    const late = simulation.schedule(timeoutMs, owner, () => reject(timedOut()));
    const settle = (done: () => void): void => {
      simulation.schedule(simulation.latency(), owner, () => {
        late.isCancelled = true;
        done();
      });
    };
    simulation.schedule(simulation.latency(), undefined, () => {
      started(effect).then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }
}

function withoutCrash(faults: readonly Fault[]): readonly Fault[] {
  return faults.filter((fault) => !fault.startsWith("crash"));
}

async function started<T>(effect: () => T | Promise<T>): Promise<T> {
  return await effect();
}
