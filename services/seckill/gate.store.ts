// The gate in Redis. The keys of an epoch share one hash slot; an epoch belongs to one run of the
// server, which every script checks: what an append-only file brought back is never believed.
// A gate must have a connection of its own kind: one that fails fast and never sends by itself twice.
import type { Redis } from "ioredis";
import {
  type AdmitReply,
  GATE_ADMIT,
  GATE_BEGIN_LOAD,
  GATE_GIVE_BACK,
  GATE_LOAD_HOLDERS,
  GATE_OPEN,
  GATE_STATE,
} from "../../lua/seckill.scripts.ts";
import { assert, must } from "../kernel/assert.ts";
import { type Clock, HOUR_MS } from "../kernel/clock.ts";
import {
  type Gate,
  GATE_BATCH_MAX,
  GATE_HEARTBEAT_TTL_MS,
  GATE_PAGE_MAX,
  type GateAdmission,
  type GateAnswer,
  type GateCandidate,
  type GateEpoch,
  type GateHolder,
  type GateLoad,
  type GateOutcome,
  type GateState,
  type GiveBackOutcome,
  type HolderPage,
  type PendingMember,
  type PendingPage,
} from "./gate.ts";
import { ServerClock } from "./server-clock.ts";

/** An epoch outlives its sale's end by this, for give-backs and for buyers who ask again. */
const RETENTION_MS = HOUR_MS;
/** Entries of the journal; it is for reading along, nothing depends on it. */
const JOURNAL_LENGTH_MAX = 1_000;
/** How the client rejects a command without an answer in time. */
const TIMED_OUT = "Command timed out";
/** Between two questions for the run of a server that did not answer the first, ms. */
const ASK_AGAIN_MS = 100;
/** How the server rejects a command on a key that holds something else. */
const SPOILED = "WRONGTYPE";
const RUN_FIELD = "run";
const RUN_ID = /^run_id:([0-9a-f]+)/m;
const SERVER_TIME = /^server_time_usec:(\d+)/m;
const US_PER_MS = 1_000;

const OUTCOMES: Readonly<Record<string, GateOutcome>> = {
  A: "admitted",
  R: "admitted",
  P: "in_progress",
  D: "already",
  S: "sold_out",
  N: "not_loaded",
  B: "not_started",
  E: "ended",
};
const LETTER_ADMITTED = "A";
const LETTER_NOT_LOADED = "N";
const LETTER_TOO_LATE = "L";
const LETTERS_WITH_ID = "RPD";

export interface GateStoreDeps {
  readonly redis: Redis;
  readonly namespace: string;
  readonly clock: Clock;
}

type Letters = Pick<AdmitReply, "letters" | "knownOrderIds">;

interface EpochKeys {
  readonly stock: string;
  readonly window: string;
  readonly users: string;
  readonly pending: string;
  readonly journal: string;
}

export function createGate(deps: GateStoreDeps): Gate {
  return new RedisGate(deps);
}

class RedisGate implements Gate {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #prefix: string;
  /** Milliseconds this process waits for an answer. */
  readonly #patienceMs: number;
  readonly #serverClock = new ServerClock();
  /** Grows with every connection that ends. */
  #connection = 0;
  #runId: string | undefined;
  #asking: Promise<string> | undefined;
  #askingAgain: NodeJS.Timeout | undefined;

  constructor({ redis, namespace, clock }: GateStoreDeps) {
    this.#redis = redis;
    this.#clock = clock;
    this.#prefix = `${namespace}:seckill`;
    this.#patienceMs = must(redis.options.commandTimeout, "a limit of the waits for the gate");
    // A server can only be replaced while the connection is away.
    redis.on("close", () => {
      this.#connection += 1;
      this.#runId = undefined;
      this.#asking = undefined;
    });
    redis.on("ready", () => this.#learnRun());
    if (redis.status === "ready") this.#learnRun();
  }

  runId(): string | undefined {
    return this.#runId;
  }

  async load(sale: GateLoad): Promise<void> {
    const keys = this.#keys(sale);
    const runId = await this.#currentRun();
    const expiresAtMs = Math.max(sale.endsAtMs, this.#clock.now()) + RETENTION_MS;
    const begun = await onceMore(() =>
      GATE_BEGIN_LOAD.run(this.#redis, keys, { run_id: runId, expires_at_ms: expiresAtMs }),
    );
    if (begun === "loaded") return;
    if (begun === "stale") throw disturbed(sale);
    const holders = await this.#loadHolders(sale, keys, runId);
    const stock = sale.units - holders;
    assert(stock >= 0, `sale ${sale.saleId} has ${sale.units} units and ${holders} holders`);
    const opened = await onceMore(() =>
      GATE_OPEN.run(this.#redis, keys, {
        run_id: runId,
        window: `${sale.startsAtMs}:${sale.endsAtMs}`,
        expires_at_ms: expiresAtMs,
        holder_count: holders,
        stock,
      }),
    );
    if (opened === "disturbed") throw disturbed(sale);
  }

  /** Returns how many were added. */
  async #loadHolders(sale: GateLoad, keys: EpochKeys, runId: string): Promise<number> {
    let count = 0;
    for await (const page of sale.holders) {
      assert(page.length <= GATE_PAGE_MAX, `a page of ${page.length} holders is too long`);
      if (page.length === 0) continue;
      const added = await onceMore(() =>
        GATE_LOAD_HOLDERS.run(this.#redis, keys, {
          run_id: runId,
          users_and_attempts: page.flatMap((one) => [one.userId, attemptOf(one)]),
        }),
      );
      if (added === "disturbed") throw disturbed(sale);
      count += page.length;
    }
    return count;
  }

  async admit(input: GateAdmission): Promise<readonly GateAnswer[]> {
    const { candidates, settled, owner } = input;
    assert(candidates.length <= GATE_BATCH_MAX, `${candidates.length} candidates are too many`);
    assert(settled.length <= GATE_PAGE_MAX, `${settled.length} settled orders are too many`);
    if (candidates.length === 0) return [];
    const keys = this.#keys(input);
    const list = [...settled];
    for (const one of candidates) list.push(one.userId, attemptOf(one));
    const letters = LETTER_NOT_LOADED.repeat(candidates.length);
    const nobody: Letters = { letters, knownOrderIds: [] };
    const reply = await unlessSpoiled(nobody, () =>
      this.#ofThisRun((runId) =>
        this.#inTime((notAfterMs) =>
          GATE_ADMIT.run(this.#redis, keys, {
            run_id: runId,
            owner,
            journal_length_max: JOURNAL_LENGTH_MAX,
            not_after_ms: notAfterMs,
            settled_count: settled.length,
            settled_and_candidates: list,
          }),
        ),
      ),
    );
    return answersOf(reply, candidates);
  }

  /**
   * Tells the server until when the answer is waited for, by its own clock. Rejects with TooLate when that
   * was over, or its clock was set: what is sent again says it by the right time.
   */
  async #inTime(admit: (notAfterMs: number) => Promise<AdmitReply>): Promise<AdmitReply> {
    const sentAt = this.#clock.monotonic();
    const notAfterMs = this.#serverClock.at(sentAt + this.#patienceMs);
    const reply = await admit(must(notAfterMs, "the time of the server whose run is known"));
    this.#serverClock.hear(reply.atMs, sentAt, this.#clock.monotonic());
    if (reply.letters.startsWith(LETTER_TOO_LATE)) throw new TooLate();
    return reply;
  }

  async settle(input: GateEpoch & { readonly orderIds: readonly string[] }): Promise<void> {
    assert(input.orderIds.length <= GATE_PAGE_MAX, "too many orders to settle at once");
    if (input.orderIds.length === 0) return;
    await this.#redis.hdel(this.#keys(input).pending, ...input.orderIds);
  }

  async giveBack(
    input: GateEpoch & { readonly userId: string; readonly orderId: string },
  ): Promise<GiveBackOutcome> {
    return await unlessSpoiled("not_loaded", () =>
      this.#ofThisRun((runId) =>
        GATE_GIVE_BACK.run(this.#redis, this.#keys(input), {
          run_id: runId,
          user_id: input.userId,
          order_id: input.orderId,
          journal_length_max: JOURNAL_LENGTH_MAX,
        }),
      ),
    );
  }

  async pending(input: GateEpoch & { readonly cursor?: string | undefined }): Promise<PendingPage> {
    const { pending } = this.#keys(input);
    const [isLoaded, [next, fields]] = await this.#ofThisRun((runId) =>
      Promise.all([
        this.#redis.hget(pending, RUN_FIELD).then((run) => run === runId),
        this.#redis.hscan(pending, input.cursor ?? "0", "COUNT", GATE_PAGE_MAX),
      ]),
    );
    if (!isLoaded) return { members: [], next: undefined };
    return { members: membersOf(fields), next: next === "0" ? undefined : next };
  }

  async holders(input: GateEpoch & { readonly cursor?: string | undefined }): Promise<HolderPage> {
    const { users } = this.#keys(input);
    const page = await this.#redis.hscan(users, input.cursor ?? "0", "COUNT", GATE_PAGE_MAX);
    const [next, fields] = page;
    const userIds = fields.filter((field, at) => at % 2 === 0 && field !== RUN_FIELD);
    return { userIds, next: next === "0" ? undefined : next };
  }

  async state(epoch: GateEpoch): Promise<GateState | undefined> {
    const state = await unlessSpoiled(undefined, () =>
      this.#ofThisRun((runId) => GATE_STATE.run(this.#redis, this.#keys(epoch), { run_id: runId })),
    );
    if (state === undefined) return undefined;
    return { stock: state.stock, pending: state.pending, version: state.newestEntry };
  }

  async drop(epoch: GateEpoch): Promise<void> {
    await this.#redis.unlink(Object.values<string>({ ...this.#keys(epoch) }));
  }

  async heartbeat(owner: string): Promise<void> {
    await this.#redis.set(this.#ownerKey(owner), "1", "PX", GATE_HEARTBEAT_TTL_MS);
  }

  async aliveOwners(owners: readonly string[]): Promise<ReadonlySet<string>> {
    if (owners.length === 0) return new Set();
    const beats = await this.#redis.mget(owners.map((owner) => this.#ownerKey(owner)));
    return new Set(owners.filter((_, index) => beats[index] !== null));
  }

  /** The run is read right before each sending: a second one may be on another connection. */
  async #ofThisRun<T>(command: (runId: string) => Promise<T>): Promise<T> {
    return await onceMore(async () => await command(this.#runId ?? (await this.#currentRun())));
  }

  #learnRun(): void {
    this.#currentRun().catch(() => undefined);
  }

  /** Asked once per connection, and again for as long as it lives when there was no answer. */
  #currentRun(): Promise<string> {
    this.#asking ??= this.#askRun(this.#connection);
    return this.#asking;
  }

  async #askRun(connection: number): Promise<string> {
    try {
      const sentAt = this.#clock.monotonic();
      const info = await this.#redis.info("server");
      const shownUs = Number(must(SERVER_TIME.exec(info)?.[1], "the time in INFO"));
      this.#serverClock.hear(shownUs / US_PER_MS, sentAt, this.#clock.monotonic());
      const runId = must(RUN_ID.exec(info)?.[1], "a run id in INFO");
      if (this.#connection === connection) this.#runId = runId;
      return runId;
    } catch (error) {
      if (this.#connection === connection) this.#asking = undefined;
      this.#askAgainLater();
      throw error;
    }
  }

  /** Without the answer nobody would ever load this server. A new connection asks by itself. */
  #askAgainLater(): void {
    this.#askingAgain ??= setTimeout(() => {
      this.#askingAgain = undefined;
      if (this.#redis.status === "ready" && this.#runId === undefined) this.#learnRun();
    }, ASK_AGAIN_MS).unref();
  }

  #keys({ saleId, epoch }: GateEpoch): EpochKeys {
    const prefix = `${this.#prefix}:{${saleId}}:e${epoch}:`;
    return {
      stock: `${prefix}stock`,
      window: `${prefix}window`,
      users: `${prefix}users`,
      pending: `${prefix}pending`,
      journal: `${prefix}journal`,
    };
  }

  #ownerKey(owner: string): string {
    return `${this.#prefix}:owner:${owner}`;
  }
}

/** The server heard of an admission after the time until which it was waited for, and let nobody in. */
class TooLate extends Error {
  override readonly name = "TooLate";
}

/** The form of what the users hash holds. */
function attemptOf(one: GateCandidate | GateHolder): string {
  return `${one.orderId}:${one.requestId ?? ""}`;
}

function answersOf(
  { letters, knownOrderIds }: Letters,
  candidates: readonly GateCandidate[],
): readonly GateAnswer[] {
  assert(letters.length === candidates.length, "the gate must answer every candidate");
  let known = 0;
  return candidates.map(({ orderId }, index) => {
    const letter = letters.charAt(index);
    const outcome = must(OUTCOMES[letter], `a meaning of the gate's answer ${letter}`);
    if (letter === LETTER_ADMITTED) return { outcome, orderId };
    if (!LETTERS_WITH_ID.includes(letter)) return { outcome, orderId: undefined };
    known += 1;
    return { outcome, orderId: must(knownOrderIds[known - 1], "the order id of a known buyer") };
  });
}

/** @param fields of an HSCAN page: order id and `<user id>:<owner>` in turn. */
function membersOf(fields: readonly string[]): readonly PendingMember[] {
  const members: PendingMember[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const orderId = must(fields[at], "an order id");
    if (orderId === RUN_FIELD) continue;
    const value = must(fields[at + 1], "a pending member");
    const colon = value.indexOf(":");
    members.push({ orderId, userId: value.slice(0, colon), owner: value.slice(colon + 1) });
  }
  return members;
}

function disturbed({ saleId, epoch }: GateEpoch): Error {
  return new Error(`the load of epoch ${epoch} of sale ${saleId} was disturbed`);
}

/** A gate whose keys somebody has overwritten is as good as lost: it is loaded again under a new epoch. A script that
 * broke off half-way has let nobody through who would not be fenced then. */
async function unlessSpoiled<T>(lost: T, command: () => Promise<T>): Promise<T> {
  try {
    return await command();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes(SPOILED)) throw error;
    return lost;
  }
}

/** A command whose answer is late may have run: all of the gate's may be sent again. */
async function onceMore<T>(command: () => Promise<T>): Promise<T> {
  try {
    return await command();
  } catch (error) {
    if (!isLate(error)) throw error;
    return await command();
  }
}

function isLate(error: unknown): boolean {
  return error instanceof TooLate || (error instanceof Error && error.message === TIMED_OUT);
}
