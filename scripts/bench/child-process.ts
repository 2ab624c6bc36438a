// A part of the benchmark in a process of its own, so that its CPU time is its own. The parent asks
// and the child answers; a child never outlives its parent.
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { ClosedLoop, type Tally, type Unit } from "./closed-loop.ts";

const ANSWER_TIMEOUT_MS = 60_000;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly params: unknown;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Something that can be measured: see serveUnits(). */
export interface Workload {
  readonly pid: number;
  start(unit: string, workers: number): Promise<void>;
  mark(): Promise<Tally>;
  stop(): Promise<void>;
}

export class BenchChild implements Workload {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  /** @param script a module of this folder. */
  constructor(script: string) {
    // What the platform's processes are told (a profiler) is not for us.
    const env = { ...process.env, NODE_OPTIONS: "" };
    const path = join(import.meta.dirname, script);
    this.#process = fork(path, { serialization: "advanced", env });
    this.#process.on("message", (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    const fail = (): void => {
      for (const [id, settle] of this.#waiting) settle({ id, error: `${script} has ended` });
      this.#waiting.clear();
    };
    // Asking a child that has ended is an error of the channel.
    this.#process.once("exit", fail).on("error", fail);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async ask(name: string, params: unknown = null, timeoutMs = ANSWER_TIMEOUT_MS): Promise<unknown> {
    const question: Question = { id: ++this.#lastId, name, params };
    const answer = await new Promise<Answer>((resolve) => {
      const timer = setTimeout(() => {
        resolve({ id: question.id, error: `no answer to "${name}" in time` });
      }, timeoutMs);
      this.#waiting.set(question.id, (given) => {
        clearTimeout(timer);
        resolve(given);
      });
      this.#process.send(question);
    });
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.value;
  }

  async start(unit: string, workers: number): Promise<void> {
    await this.ask("start", { unit, workers });
  }

  async mark(): Promise<Tally> {
    return (await this.ask("mark")) as Tally;
  }

  async stop(): Promise<void> {
    await this.ask("stop");
  }

  end(): void {
    if (this.#process.connected) this.#process.disconnect();
  }
}

type Handler = (params: never) => unknown;

/** The child's side. Errors travel as text. */
export function serve(handlers: Readonly<Record<string, Handler>>): void {
  process.on("message", ({ id, name, params }: Question) => {
    void answer(handlers, name, params).then((reply) => process.send?.({ id, ...reply }));
  });
  process.once("disconnect", () => process.exit(0));
  // Ctrl-C goes to the whole group; the parent decides.
  process.on("SIGINT", () => undefined);
}

async function answer(
  handlers: Readonly<Record<string, Handler>>,
  name: string,
  params: unknown,
): Promise<Omit<Answer, "id">> {
  try {
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`no handler for ${name}`);
    return { value: await handler(params as never) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** Serves closed loops over the units that `prepare` makes of its parameters, by name. */
export function serveUnits<Params>(
  prepare: (params: Params) => Promise<Readonly<Record<string, Unit>>>,
): void {
  let units: Readonly<Record<string, Unit>> = {};
  let loop: ClosedLoop | undefined;
  serve({
    prepare: async (params: Params) => {
      units = await prepare(params);
    },
    start: ({ unit, workers }: { unit: string; workers: number }) => {
      const work = units[unit];
      if (work === undefined) throw new Error(`no unit is named ${unit}`);
      loop = new ClosedLoop(work);
      loop.start(workers);
    },
    mark: () => loop?.mark(),
    stop: () => loop?.stop(),
  });
}
