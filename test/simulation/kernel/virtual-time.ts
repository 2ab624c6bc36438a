// Gives the timers and clocks of this thread to a simulation while it runs. The product takes time from
// the platform's globals; nothing else may run in this thread meanwhile.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Cancel, Simulation } from "./simulation.ts";

export const realImmediate: (callback: () => void) => NodeJS.Immediate = setImmediate;

class VirtualTimer {
  readonly #simulation: Simulation;
  readonly #callback: () => void;
  readonly #delayMs: number;
  readonly #isRepeated: boolean;
  #cancel: Cancel;

  constructor(
    simulation: Simulation,
    callback: () => void,
    options: { readonly delayMs: number; readonly isRepeated: boolean },
  ) {
    this.#simulation = simulation;
    this.#callback = AsyncLocalStorage.bind(callback);
    this.#delayMs = options.delayMs;
    this.#isRepeated = options.isRepeated;
    this.#cancel = this.#arm();
  }

  #arm(): Cancel {
    return this.#simulation.schedule(this.#delayMs, this.#simulation.current(), () => {
      if (this.#isRepeated) this.#cancel = this.#arm();
      this.#callback();
    });
  }

  clear(): void {
    this.#cancel.isCancelled = true;
  }

  refresh(): this {
    this.clear();
    this.#cancel = this.#arm();
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }
}

type Callback = (...args: unknown[]) => void;

/** Runs `work` with virtual clocks, timers and randomness. */
export async function withVirtualTime<T>(
  simulation: Simulation,
  work: () => Promise<T>,
): Promise<T> {
  const timer =
    (isRepeated: boolean) =>
    (callback: Callback, delayMs = 0, ...args: unknown[]): VirtualTimer =>
      new VirtualTimer(simulation, () => callback(...args), { delayMs, isRepeated });
  const clear = (handle: unknown): void => {
    if (handle instanceof VirtualTimer) handle.clear();
  };
  const RealDate = Date;
  class VirtualDate extends RealDate {
    constructor(...args: readonly unknown[]) {
      if (args.length === 0) super(simulation.wallMs);
      else super(...(args as [number]));
    }

    static override now(): number {
      return simulation.wallMs;
    }
  }
  const restore = [
    replace(globalThis, "setTimeout", timer(false)),
    replace(globalThis, "setInterval", timer(true)),
    replace(globalThis, "setImmediate", (callback: Callback, ...args: unknown[]) =>
      timer(false)(callback, 0, ...args),
    ),
    replace(globalThis, "clearTimeout", clear),
    replace(globalThis, "clearInterval", clear),
    replace(globalThis, "clearImmediate", clear),
    replace(globalThis, "Date", VirtualDate),
    replace(performance, "now", () => simulation.now),
    replace(Math, "random", simulation.random),
  ];
  try {
    return await work();
  } finally {
    for (const undo of restore.reverse()) undo();
  }
}

function replace(target: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  };
}
