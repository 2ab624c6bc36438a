// The scheduler: whatever the simulated platform waits for (a server's answer, a timer, a message) is
// an event here, and events happen one after the other in the order of virtual time. Latencies come
// from the seed, so the seed is the interleaving. A process that is crashed gets no event any more:
// whatever it was doing ends between two effects, like a process that was killed.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Random } from "./seeded-random.ts";
import { seededRandom } from "./seeded-random.ts";
import { realImmediate } from "./virtual-time.ts";

/** One incarnation of a node of the platform. */
export class Process {
  readonly name: string;
  isDead = false;
  readonly #atDeath: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  onDeath(listener: () => void): void {
    this.#atDeath.push(listener);
  }

  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    for (const listener of this.#atDeath.splice(0)) listener();
  }
}

interface Event {
  readonly at: number;
  readonly sequence: number;
  readonly owner: Process | undefined;
  readonly cancel: Cancel;
  readonly run: () => void;
}

export interface Cancel {
  isCancelled: boolean;
}

/** Events of one schedule; one that needs more does not come to rest. */
const EVENTS_MAX = 60_000;
const STEPS_PER_TURN = 64;
const EPOCH_MS = Date.UTC(2026, 0, 1);

const running = new AsyncLocalStorage<Process>();

export class Simulation {
  readonly random: Random;
  readonly history: string[] = [];
  #now = 0;
  #sequence = 0;
  #events: Event[] = [];
  #eventCount = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** Milliseconds since this schedule began. */
  get now(): number {
    return this.#now;
  }

  /** Wall clock, milliseconds since the Unix epoch. */
  get wallMs(): number {
    return Math.floor(this.preciseWallMs);
  }

  /** With its fraction. */
  get preciseWallMs(): number {
    return EPOCH_MS + this.#now;
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  note(line: string): void {
    const who = running.getStore()?.name ?? "-";
    this.history.push(`${this.#now.toFixed(2).padStart(10)}  ${who.padEnd(6)} ${line}`);
  }

  /** The process whose code runs now; undefined for the world around it. */
  current(): Process | undefined {
    return running.getStore();
  }

  as<T>(process: Process, work: () => T): T {
    return running.run(process, work);
  }

  /** @param owner whose event it is: it does not happen when that process is dead by then. */
  schedule(delayMs: number, owner: Process | undefined, run: () => void): Cancel {
    const cancel: Cancel = { isCancelled: false };
    this.#sequence += 1;
    const event: Event = {
      at: this.#now + Math.max(0, delayMs),
      sequence: this.#sequence,
      owner,
      cancel,
      run,
    };
    this.#push(event);
    return cancel;
  }

  /** Resolves after `delayMs` of virtual time, for the process that runs now. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.schedule(delayMs, this.current(), resolve));
  }

  /** A latency of the network or a server, in milliseconds. */
  latency(): number {
    return 0.05 + this.random() * 2;
  }

  /** Lets events happen until `work` has ended. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const ended = work.finally(() => {
      isOver = true;
    });
    ended.catch(() => undefined);
    await inSettledSteps(() => {
      if (!isOver) this.#step();
      return isOver;
    });
    return await ended;
  }

  #step(): void {
    const event = this.#next();
    this.#eventCount += 1;
    if (this.#eventCount > EVENTS_MAX) throw new Error("the schedule does not come to rest");
    this.#now = Math.max(this.#now, event.at);
    event.run();
  }

  /** What does not happen takes no step: most timers are limits that nothing reaches. */
  #next(): Event {
    for (;;) {
      const event = this.#pop();
      if (event === undefined) throw new Error("nothing is left that could happen");
      if (!event.cancel.isCancelled && event.owner?.isDead !== true) return event;
    }
  }

  #push(event: Event): void {
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#events;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/**
 * Takes one step after the other until one says that it was the last, each after all that follows from the one before
 * without waiting: Node runs promises and ticks between the immediates of one turn of the event loop. Many steps
 * share a turn, for every turn asks the kernel what there is to read.
 */
function inSettledSteps(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const next = (): void => {
      if (isOver) return;
      try {
        isOver = step();
        if (isOver) resolve();
      } catch (error) {
        isOver = true;
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const turn = (): void => {
      if (isOver) return;
      for (let steps = 0; steps < STEPS_PER_TURN; steps += 1) realImmediate(next);
      realImmediate(turn);
    };
    turn();
  });
}

function isBefore(left: Event, right: Event): boolean {
  return left.at < right.at || (left.at === right.at && left.sequence < right.sequence);
}
