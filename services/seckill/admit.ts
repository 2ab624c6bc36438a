// Admission: from a batch of buyers of one sale to winners whose commit has begun.
//
//   mode redis    the gate decides who may try; its winners go into the sale's commit queue
//   mode db       everybody goes into the queue, as many as the database can take; the rest is told
//                 to come back
//   mode loading  wait for one of the two, at most a second
//
// The gate is left (mode db) when it fails FAILURES_MAX times in a row, when a second has passed
// without any answer, or when it does not know an epoch that the database says it holds. Nobody is
// refused for that: the buyers go on under the new mode with the order ids they have.
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import type { Admission, Candidate, Refusal } from "../contracts/seckill.ts";
import { must } from "../kernel/assert.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { Failpoint } from "../kernel/failpoint.ts";
import type { IdGenerator } from "../kernel/ids.ts";
import { findHeld } from "./admission.repository.ts";
import { type Attempt, type Commits, createCommits, type FinalOutcome } from "./commits.ts";
import { type AdmitCommand, refused } from "./domain/admission.ts";
import { remainingOf, type Sale } from "./domain/sale.ts";
import type { Gate, GateAnswer } from "./gate.ts";
import { createHeartbeat, type Heartbeat } from "./heartbeat.ts";
import type { SaleCache } from "./sale-cache.ts";
import { leaveGate } from "./sale.repository.ts";
import { createSettler, type Settler } from "./settler.ts";
import { within } from "./within.ts";

/** Failures of the gate in a row, over all calls of this node. */
const FAILURES_MAX = 3;
const SILENCE_MAX_MS = SECOND_MS;
/** How often one batch may begin anew because the mode has changed under it. */
const RUNS_MAX = 5;
const LOADING_WAIT_MAX_MS = SECOND_MS;
const LOADING_POLL_MS = 25;
/** Longer queues than this are not joined without the gate. */
const DATABASE_WAIT_MAX_MS = 300;
/** Without the gate an answer is final as soon as the commit is; waited for at most this long. */
const DATABASE_ANSWER_MS = 300;

export interface AdmitterDeps {
  readonly database: Database;
  readonly gate: Gate;
  /** Node and incarnation, as the gate knows this process. */
  readonly owner: string;
  readonly sales: SaleCache;
  readonly ids: IdGenerator;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly failpoint: Failpoint;
  readonly metrics: Pick<Metrics, "increment">;
  /** Outcomes of attempts that are kept for whoever asks soon after; see commits.ts. */
  readonly rememberedMax?: number;
  /** Called after a commit that left events for the relay. */
  readonly onEvents: () => void;
}

export interface Admitter {
  /** One answer per candidate, in order. Never rejects for a part of them. */
  admit(saleId: string, candidates: readonly Candidate[]): Promise<readonly Admission[]>;
  readonly commits: Commits;
  stop(): Promise<void>;
}

export function createAdmitter(deps: AdmitterDeps): Admitter {
  return new SaleAdmitter(deps);
}

/** A buyer who has no answer yet. */
interface Open {
  readonly index: number;
  readonly userId: string;
  readonly requestId: string;
  readonly orderId: string;
}

const NOT_FOUND: Admission = { outcome: "not_found", order_id: null };
const BUSY: Admission = { outcome: "busy", order_id: null };

class SaleAdmitter implements Admitter {
  readonly commits: Commits;
  readonly #deps: AdmitterDeps;
  readonly #settler: Settler;
  readonly #heartbeat: Heartbeat;
  #failures = 0;
  #lastReplyAt: number;

  constructor(deps: AdmitterDeps) {
    this.#deps = deps;
    this.#lastReplyAt = deps.clock.monotonic();
    this.#settler = createSettler(deps.gate, deps.log);
    this.#heartbeat = createHeartbeat(deps.gate, deps.owner, deps.log);
    this.commits = createCommits({
      ...deps,
      rerun: (saleId, command) => this.#rerun(saleId, command),
      onCommitted: (sale, guardRefused) => this.#committed(sale, guardRefused),
      onEnd: (saleId, command, outcome) => void this.#ended(saleId, command, outcome),
    });
  }

  async admit(saleId: string, candidates: readonly Candidate[]): Promise<readonly Admission[]> {
    const { sales, ids } = this.#deps;
    const answers = new Array<Admission>(candidates.length).fill(BUSY);
    let open: readonly Open[] = candidates.map((candidate, index) => ({
      index,
      userId: candidate.user_id,
      requestId: candidate.request_id,
      orderId: ids.next(),
    }));
    for (let run = 0; run < RUNS_MAX && open.length > 0; run += 1) {
      const sale = await (run === 0 ? sales.get(saleId) : sales.refresh(saleId));
      if (sale === undefined) {
        for (const { index } of open) answers[index] = NOT_FOUND;
        return answers;
      }
      open = await this.#run(sale, open, answers);
    }
    return answers;
  }

  async stop(): Promise<void> {
    await this.commits.drain();
    await this.#settler.stop();
    await this.#heartbeat.stop();
  }

  /** Returns those who must begin anew. */
  async #run(sale: Sale, open: readonly Open[], answers: Admission[]): Promise<readonly Open[]> {
    const refusal = refusalOf(sale);
    if (refusal !== undefined) {
      await this.#refuseOthers(sale, open, { refusal, answers });
      return [];
    }
    if (sale.mode === "redis") return await this.#throughGate(sale, open, answers);
    if (sale.mode === "db") {
      await this.#throughDatabase(sale, open, answers);
      return [];
    }
    return (await this.#whenLoaded(sale.id)) === undefined ? [] : open;
  }

  async #throughGate(
    sale: Sale,
    open: readonly Open[],
    answers: Admission[],
  ): Promise<readonly Open[]> {
    const found = await this.#askGate(sale, open);
    if (found === undefined) return open;
    open.forEach(({ index, userId, requestId }, position) => {
      const { outcome, orderId } = must(found[position], "an answer per candidate");
      if (outcome === "admitted") {
        const command = commandOf(sale, {
          userId,
          requestId,
          orderId: must(orderId, "the winner's order"),
        });
        answers[index] = this.#begin(sale.id, command);
      } else if (outcome !== "not_loaded") {
        answers[index] = { outcome, order_id: orderId ?? null };
      }
    });
    return [];
  }

  /** Undefined when the gate gave no answer, or does not know this epoch. */
  async #askGate(sale: Sale, open: readonly Open[]): Promise<readonly GateAnswer[] | undefined> {
    const { gate, owner, clock, log } = this.#deps;
    const epoch = { saleId: sale.id, epoch: sale.epoch };
    try {
      await this.#heartbeat.begin();
      const settled = this.#settler.take(epoch);
      const answers = await gate.admit({ ...epoch, owner, settled, candidates: open });
      this.#failures = 0;
      this.#lastReplyAt = clock.monotonic();
      if (answers.some(({ outcome }) => outcome === "not_loaded")) {
        await this.#leaveUnknownGate(sale);
        return undefined;
      }
      return answers;
    } catch (error) {
      this.#failures += 1;
      const isSilent = clock.monotonic() - this.#lastReplyAt > SILENCE_MAX_MS;
      log.warn({ err: error, sale_id: sale.id, failures: this.#failures }, "the gate fails");
      if (this.#failures >= FAILURES_MAX || isSilent) await this.#leaveGate(sale);
      return undefined;
    }
  }

  /** The copy of the sale may be old; the row decides whether the gate should know this epoch. */
  async #leaveUnknownGate(sale: Sale): Promise<void> {
    const now = await this.#deps.sales.refresh(sale.id);
    if (now?.mode === "redis" && now.epoch === sale.epoch) await this.#leaveGate(sale);
  }

  async #leaveGate(sale: Sale): Promise<void> {
    const { database, log, metrics } = this.#deps;
    const { id, epoch } = sale;
    // When the database fails as well, the next call tries again.
    const hasLeft = await leaveGate(database, { id, epoch }).catch(() => false);
    if (!hasLeft) return;
    metrics.increment("app_seckill_gate_left_total");
    log.error({ sale_id: id, epoch }, "the gate is left; the database admits");
  }

  async #throughDatabase(sale: Sale, open: readonly Open[], answers: Admission[]): Promise<void> {
    const started = new Map<number, Attempt>();
    for (const one of open) {
      const running = this.commits.runningOf(sale.id, one.userId);
      if (running !== undefined) {
        answers[one.index] = { outcome: "in_progress", order_id: running.orderId };
      } else if (this.commits.waitMs(sale.id) <= DATABASE_WAIT_MAX_MS) {
        const command = commandOf(sale, one);
        answers[one.index] = this.#begin(sale.id, command);
        started.set(one.index, this.commits.start(sale.id, command));
      }
    }
    const attempts = [...started.values()];
    await within(DATABASE_ANSWER_MS, Promise.all(attempts.map(({ done }) => done)));
    for (const [index, { orderId }] of started) {
      const outcome = this.commits.outcome(orderId);
      if (outcome !== undefined) answers[index] = admissionOf(orderId, outcome);
    }
  }

  /** Refuses everybody but those who have bought: they are told their order, also after the end. */
  async #refuseOthers(
    sale: Sale,
    open: readonly Open[],
    { refusal, answers }: { readonly refusal: Refusal; readonly answers: Admission[] },
  ): Promise<void> {
    const userIds = open.map(({ userId }) => userId);
    const held = await findHeld(this.#deps.database, sale.id, userIds);
    for (const { index, userId } of open) {
      const orderId = held.get(userId);
      answers[index] =
        orderId === undefined
          ? { outcome: refusal, order_id: null }
          : { outcome: "already", order_id: orderId };
    }
  }

  #begin(saleId: string, command: AdmitCommand): Admission {
    const { orderId } = command;
    this.commits.start(saleId, command);
    return { outcome: "pending", order_id: orderId };
  }

  async #whenLoaded(saleId: string): Promise<Sale | undefined> {
    const { clock, sales } = this.#deps;
    const deadline = clock.monotonic() + LOADING_WAIT_MAX_MS;
    while (clock.monotonic() < deadline) {
      const sale = await sales.refresh(saleId);
      if (sale?.mode !== "loading") return sale;
      await pause(LOADING_POLL_MS);
    }
    return undefined;
  }

  async #rerun(saleId: string, command: AdmitCommand): Promise<AdmitCommand | FinalOutcome> {
    const sale = await this.#whenLoaded(saleId);
    // Still loading: the same command is fenced again, and given up in the end.
    if (sale === undefined) return command;
    if (sale.status !== "published") return refused("ended");
    if (sale.mode !== "redis") return commandOf(sale, command);
    const [answer] = (await this.#askGate(sale, [{ ...command, index: 0 }])) ?? [];
    if (answer === undefined) return command;
    return rerunAnswer(sale, command, answer);
  }

  #committed(sale: Sale, guardRefused: number): void {
    const { sales, onEvents, metrics, log } = this.#deps;
    sales.put(sale);
    onEvents();
    metrics.increment("app_admission_flush_total");
    if (guardRefused === 0) return;
    metrics.increment("app_seckill_guard_refused_total", {}, guardRefused);
    log.error(
      { sale_id: sale.id, epoch: sale.epoch, guardRefused },
      "the gate let too many through",
    );
    void this.#leaveGate(sale);
  }

  async #ended(saleId: string, command: AdmitCommand, outcome: FinalOutcome): Promise<void> {
    const { mode, epoch, userId, orderId } = command;
    if (mode !== "redis") return;
    if (outcome.kind === "committed") {
      this.#settler.add({ saleId, epoch }, orderId);
      return;
    }
    const isUnitFree = outcome.kind === "void" || outcome.kind === "refused";
    if (!isUnitFree) return;
    await this.#deps.gate.giveBack({ saleId, epoch, userId, orderId }).catch((error: unknown) => {
      // Its pending entry stays, so the reaper comes to the same end.
      this.#deps.log.warn(
        { err: error, order_id: orderId },
        "a refused unit is left to the reaper",
      );
    });
  }
}

/** What everybody who has nothing yet is refused with, before anything is tried. */
function refusalOf(sale: Sale): Refusal | undefined {
  const { status, mode } = sale;
  if (status === "draft" || status === "publishing") return "not_started";
  if (status === "closing" || status === "closed") return "ended";
  return mode === "db" && remainingOf(sale) === 0 ? "sold_out" : undefined;
}

function commandOf(
  { mode, epoch }: Sale,
  { userId, requestId, orderId }: Pick<AdmitCommand, "userId" | "requestId" | "orderId">,
): AdmitCommand {
  return { userId, requestId, orderId, epoch, mode: mode === "redis" ? "redis" : "db" };
}

function rerunAnswer(
  sale: Sale,
  command: AdmitCommand,
  { outcome, orderId }: GateAnswer,
): AdmitCommand | FinalOutcome {
  switch (outcome) {
    case "admitted":
      return orderId === command.orderId ? commandOf(sale, command) : { kind: "void" };
    case "already":
      return refused("already", orderId ?? null);
    case "sold_out":
    case "not_started":
    case "ended":
      return refused(outcome);
    case "in_progress":
    case "not_loaded":
      return { kind: "void" };
  }
}

/** What is told to a buyer whose attempt has ended. */
export function admissionOf(orderId: string, outcome: FinalOutcome): Admission {
  switch (outcome.kind) {
    case "committed":
      return { outcome: "committed", order_id: orderId };
    case "refused":
      return { outcome: outcome.refusal, order_id: outcome.heldOrderId };
    case "void":
    case "unknown":
      return BUSY;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
