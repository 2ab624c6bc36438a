// Group commit: commands that arrive while a commit is under way share the next one. Knows nothing
// of SQL. At most one commit is under way, so that batches never wait for each other's row locks.
//
// idle ──submit──▶ gathering (until the end of this turn) ──▶ committing ──▶ committing … ──▶ idle
// A batch that fails is tried once more, then command by command, so that one bad command fails
// alone; when the database is away or the outcome unknown, all are told at once. A commit may see a
// command twice and must recognise it by the id it carries.
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";
import { assert } from "../../services/kernel/assert.ts";
import { currentContext, type RequestContext, runInContext } from "../context.ts";
import { isSampled, TRACE_LINKS_MAX } from "../tracing/traceparent.ts";
import { type QueueFigures, queueFigures } from "./queue-figures.ts";

/** What is left of a failed batch after this time is refused: those behind it wait as well. */
const ONE_BY_ONE_MS_MAX = 3_000;

/** A command's answer when it differs from "done": the others of its batch are not touched. */
export class Refusal {
  readonly error: Error;

  constructor(error: Error) {
    this.error = error;
  }
}

export interface CommitQueueOptions<Command, Outcome> {
  readonly name: string;
  /** Commands of one commit. */
  readonly batchSizeMax: number;
  /** Commands that may wait for the next commits; one more is refused with OVERLOADED. */
  readonly queueLengthMax: number;
  /**
   * Commands that have waited longer are refused with OVERLOADED: whoever asked has given up, and work
   * for nobody would make the next ones wait as long. No limit unless given.
   */
  readonly waitMaxMs?: number;
  /**
   * Commits all commands, in their order, and answers one outcome each, at the same index; a
   * Refusal rejects that command alone. Rejects when nothing has been committed or nothing is known.
   */
  readonly commit: (commands: readonly Command[]) => Promise<readonly (Outcome | Refusal)[]>;
}

export interface CommitQueue<Command, Outcome> {
  /** Resolves after the commit. Errors: OVERLOADED, SHUTTING_DOWN, or what the commit failed with. */
  submit(command: Command): Promise<Outcome>;
  /** Commits what waits and refuses what comes later. */
  drain(): Promise<void>;
  readonly stats: CommitQueueStats;
}

export interface CommitQueueStats {
  readonly waiting: number;
  readonly commits: number;
  readonly committed: number;
}

interface Waiting<Command, Outcome> {
  readonly command: Command;
  /** By performance.now(). */
  readonly sinceMs: number;
  readonly context: RequestContext | undefined;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export function createCommitQueue<Command, Outcome>(
  options: CommitQueueOptions<Command, Outcome>,
): CommitQueue<Command, Outcome> {
  return new GroupCommitQueue(options);
}

class GroupCommitQueue<Command, Outcome> implements CommitQueue<Command, Outcome> {
  readonly #options: CommitQueueOptions<Command, Outcome>;
  readonly #figures: QueueFigures;
  #waiting: Waiting<Command, Outcome>[] = [];
  #running: Promise<void> | undefined;
  #isDraining = false;
  #commits = 0;
  #committed = 0;

  constructor(options: CommitQueueOptions<Command, Outcome>) {
    assert(options.batchSizeMax >= 1, "a batch holds one command at least");
    this.#options = options;
    this.#figures = queueFigures(options.name);
  }

  get stats(): CommitQueueStats {
    return { waiting: this.#waiting.length, commits: this.#commits, committed: this.#committed };
  }

  submit(command: Command): Promise<Outcome> {
    if (this.#isDraining) return Promise.reject(new PlatformError("SHUTTING_DOWN"));
    if (this.#waiting.length >= this.#options.queueLengthMax) {
      return Promise.reject(new PlatformError("OVERLOADED"));
    }
    return new Promise((resolve, reject) => {
      const sinceMs = performance.now();
      this.#waiting.push({ command, sinceMs, context: currentContext(), resolve, reject });
      this.#figures.waiting += 1;
      this.#running ??= this.#run();
    });
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // What arrives in this turn of the event loop goes into the first batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      this.#refuseLate();
      const batch = this.#waiting.splice(0, this.#options.batchSizeMax);
      this.#figures.waiting -= batch.length;
      if (batch.length === 0) break;
      // Not of the request that found the queue idle: it may have been answered long ago.
      await runInContext(leadContext(batch), () => this.#commitBatch(batch));
    }
    // No await between the last look at the queue and this: a submit cannot fall in between.
    this.#running = undefined;
  }

  /** Those who have waited longest come first. */
  #refuseLate(): void {
    const { waitMaxMs = Infinity } = this.#options;
    const sinceMinMs = performance.now() - waitMaxMs;
    const firstGood = this.#waiting.findIndex(({ sinceMs }) => sinceMs >= sinceMinMs);
    const late = this.#waiting.splice(0, firstGood === -1 ? this.#waiting.length : firstGood);
    this.#figures.waiting -= late.length;
    // Making an error costs more than all the rest of this.
    if (late.length > 0) rejectAll(late, new PlatformError("OVERLOADED"));
  }

  async #commitBatch(batch: readonly Waiting<Command, Outcome>[]): Promise<void> {
    let failure = await this.#tryCommit(batch);
    if (failure === undefined) return;
    if (!isFinal(failure, batch.length)) {
      failure = await this.#tryCommit(batch);
      if (failure === undefined) return;
    }
    if (isFinal(failure, batch.length) || batch.length === 1) rejectAll(batch, failure);
    else await this.#commitOneByOne(batch);
  }

  async #commitOneByOne(batch: readonly Waiting<Command, Outcome>[]): Promise<void> {
    const deadline = performance.now() + ONE_BY_ONE_MS_MAX;
    for (const one of batch) {
      const failure =
        performance.now() < deadline
          ? await this.#tryCommit([one])
          : new PlatformError("OVERLOADED");
      if (failure !== undefined) one.reject(failure);
    }
  }

  /** Answers all commands of the batch when it is committed, else returns why it is not. */
  async #tryCommit(batch: readonly Waiting<Command, Outcome>[]): Promise<Error | undefined> {
    try {
      this.#commits += 1;
      const outcomes = await this.#options.commit(batch.map(({ command }) => command));
      assert(
        outcomes.length === batch.length,
        `${this.#options.name} must answer each of ${batch.length} commands`,
      );
      this.#committed += batch.length;
      this.#figures.flushed += 1;
      this.#figures.commands += batch.length;
      for (const [index, outcome] of outcomes.entries()) settle(batch[index], outcome);
      return undefined;
    } catch (error) {
      this.#figures.failed += 1;
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

/** A batch runs for one of its requests: for one that is traced, if there is any. That one's context
 * names the others that are traced. */
function leadContext(
  batch: readonly { readonly context: RequestContext | undefined }[],
): RequestContext | undefined {
  const at = batch.findIndex(({ context }) => isSampled(context?.traceparent));
  const lead = batch[at]?.context;
  if (lead === undefined) return batch[0]?.context;
  const traced = batch
    .slice(at + 1)
    .flatMap(({ context: { traceparent } = {} }) => traceparent ?? [])
    .filter((traceparent) => isSampled(traceparent) && traceparent !== lead.traceparent);
  const links = [...new Set(traced)].slice(0, TRACE_LINKS_MAX);
  return links.length === 0 ? lead : { ...lead, links };
}

/** Whether trying again, alone or together, would only meet the same. */
function isFinal(failure: Error, batchSize: number): boolean {
  if (isPlatformError(failure, "SERVICE_UNAVAILABLE", "OUTCOME_UNKNOWN")) return true;
  return batchSize === 1 && isPlatformError(failure);
}

function rejectAll(
  batch: readonly { readonly reject: (error: unknown) => void }[],
  failure: Error,
): void {
  for (const { reject } of batch) reject(failure);
}

function settle<Command, Outcome>(
  waiting: Waiting<Command, Outcome> | undefined,
  outcome: Outcome | Refusal,
): void {
  if (outcome instanceof Refusal) waiting?.reject(outcome.error);
  else waiting?.resolve(outcome);
}
