// Brings processes back that end without having been asked to. Back-off between tries is bounded, and so is the
// number of tries: a process that keeps ending is a fault the operator has to see.
import { setTimeout as delay } from "node:timers/promises";

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 1_600;
const CRASHES_MAX = 5;
const CRASH_WINDOW_MS = 60_000;

export interface SupervisedProcess {
  readonly name: string;
  /** Settles when the present process ends. */
  readonly exited: Promise<unknown>;
  /** Ends what still runs and starts it again. */
  restart(): Promise<void>;
}

export interface SupervisorOptions {
  /** A process ended by itself and comes back after this many milliseconds. */
  onCrash: (process: SupervisedProcess, backoffMs: number) => void;
  /** A process runs again, with a new process id. */
  onRestart: (process: SupervisedProcess) => void;
  /** A process ended too often within a minute; it is not started again. */
  onGiveUp: (process: SupervisedProcess) => void;
  /** Starts allowed within a minute; 5 when not given, 0 = a process that ended stays down. */
  crashesMax?: number;
  /** Waits this many milliseconds; handed in so that tests need not. */
  pause?: (ms: number) => Promise<unknown>;
}

/** Pause before the nth start within the window, n from 1: 100 ms doubled each time, at most 1.6 s. */
export function restartBackoffMs(crashes: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (crashes - 1));
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #pause: (ms: number) => Promise<unknown>;
  readonly #crashesMax: number;
  readonly #crashTimes = new Map<SupervisedProcess, number[]>();
  /** Processes whose end is our own doing. */
  readonly #expected = new Set<SupervisedProcess>();
  #isStopped = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#pause = options.pause ?? delay;
    this.#crashesMax = options.crashesMax ?? CRASHES_MAX;
  }

  /** Watches a process that runs now. */
  watch(process: SupervisedProcess): void {
    const { exited } = process;
    const onEnd = (): void => {
      if (this.#isStopped || this.#expected.has(process)) return;
      void this.#bringBack(process);
    };
    exited.then(onEnd, onEnd);
  }

  /** Restarts a process on purpose: no crash, and its past crashes are forgotten. */
  async restart(process: SupervisedProcess): Promise<void> {
    if (this.#isStopped || this.#expected.has(process)) return;
    this.#expected.add(process);
    this.#crashTimes.delete(process);
    try {
      await process.restart();
    } finally {
      this.#expected.delete(process);
    }
    this.#options.onRestart(process);
    this.watch(process);
  }

  /** From now on no process is brought back. */
  stop(): void {
    this.#isStopped = true;
  }

  async #bringBack(process: SupervisedProcess): Promise<void> {
    for (;;) {
      const crashes = this.#countCrash(process);
      if (crashes > this.#crashesMax) {
        this.#options.onGiveUp(process);
        return;
      }
      const backoffMs = restartBackoffMs(crashes);
      this.#options.onCrash(process, backoffMs);
      await this.#pause(backoffMs);
      if (this.#isStopped || this.#expected.has(process)) return;
      try {
        await process.restart();
      } catch {
        // A start that fails is one more crash; the process's own log has the reason.
        continue;
      }
      this.#options.onRestart(process);
      this.watch(process);
      return;
    }
  }

  #countCrash(process: SupervisedProcess): number {
    const now = performance.now();
    const recent = (this.#crashTimes.get(process) ?? []).filter(
      (time) => now - time < CRASH_WINDOW_MS,
    );
    recent.push(now);
    this.#crashTimes.set(process, recent);
    return recent.length;
  }
}
