// The auditor's background work: lost events are published again, invariants are checked and shown
// as metrics. The checks read whole tables, so they take at most a twentieth of the time.
import { type PreparedInvariant, runInvariant } from "../../mixins/auditor/invariants.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { Log } from "../../mixins/log.ts";
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import type { InvariantResult } from "../contracts/auditor.ts";
import type { EventOwner } from "../contracts/events.ts";
import { type Clock, SECOND_MS } from "../kernel/clock.ts";
import type { Backlogs } from "./backlogs.ts";
import type { DeadLetterList } from "./dead-letter-list.ts";
import type { ReceiptWatch } from "./receipt-watch.ts";

/** Pause after a run of the invariants, as a multiple of its time. */
const REST_PER_WORK = 20;

export interface RoundDeps {
  /** Patient enough for statements over whole tables. */
  readonly database: Database;
  readonly invariants: readonly PreparedInvariant[];
  readonly watches: readonly ReceiptWatch[];
  readonly deadLetters: Pick<DeadLetterList, "countOpen">;
  readonly backlogs: Pick<Backlogs, "sagas">;
  /** Asks the owner's worker; answers how many it publishes again. */
  readonly republish: (owner: EventOwner, outboxIds: readonly string[]) => Promise<number>;
  readonly metrics: Pick<Metrics, "set">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Rounds {
  /** One turn. A part that fails is logged and does not keep the others from running. */
  run(): Promise<void>;
  /** A round under way ends with the check that it is at. */
  stop(): void;
  /** What the last round found of an invariant; undefined when it has not been checked yet. */
  resultOf(name: string): InvariantResult | undefined;
}

export function createRounds(deps: RoundDeps): Rounds {
  const { clock, log } = deps;
  const results = new Map<string, InvariantResult>();
  let isStopping = false;
  let restUntil = Number.NEGATIVE_INFINITY;
  let checkedAt = clock.monotonic();
  const showAge = (): void => {
    const ageS = (clock.monotonic() - checkedAt) / SECOND_MS;
    deps.metrics.set("app_audit_age_s", { of: "invariants" }, ageS);
  };

  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.warn({ err: error, part: what }, "a part of the audit failed");
    }
  };

  return {
    resultOf: (name) => results.get(name),
    stop() {
      isStopping = true;
    },
    async run() {
      for (const watch of deps.watches) {
        const { owner, consumer } = watch.route;
        await attempt(`receipts ${owner} to ${consumer}`, () => republishLost(deps, watch));
      }
      await attempt("dead letters", () => showDeadLetters(deps));
      await attempt("sagas", () => showSagas(deps));
      showAge();
      if (clock.monotonic() < restUntil) return;
      const startedAt = clock.monotonic();
      let checked = 0;
      for (const invariant of deps.invariants) {
        if (isStopping) return;
        await attempt(invariant.name, async () => {
          results.set(invariant.name, await checkOne(deps, invariant));
          checked += 1;
        });
      }
      if (checked === deps.invariants.length) checkedAt = clock.monotonic();
      const tookMs = clock.monotonic() - startedAt;
      restUntil = clock.monotonic() + tookMs * REST_PER_WORK;
    },
  };
}

async function republishLost({ republish, log }: RoundDeps, watch: ReceiptWatch): Promise<void> {
  const lost = await watch.findLost();
  if (lost.length === 0) return;
  const { owner, consumer } = watch.route;
  const republished = await republish(owner, lost);
  log.warn({ owner, consumer, lost: lost.length, republished }, "events are published again");
}

async function showDeadLetters({ deadLetters, metrics }: RoundDeps): Promise<void> {
  for (const [owner, open] of await deadLetters.countOpen()) {
    metrics.set("app_dead_letters_open", { owner }, open);
  }
}

async function showSagas({ backlogs, metrics }: RoundDeps): Promise<void> {
  for (const { type, open, overdue } of await backlogs.sagas()) {
    metrics.set("app_sagas_open", { type }, open);
    metrics.set("app_sagas_overdue", { type }, overdue);
  }
}

async function checkOne(
  { database, metrics, clock, log }: RoundDeps,
  invariant: PreparedInvariant,
): Promise<InvariantResult> {
  const result = await runInvariant(database, invariant, () => clock.now());
  const { name, violations, offending } = result;
  metrics.set("app_invariant_violations", { invariant: name }, violations);
  if (violations > 0)
    log.error({ invariant: name, violations, offending }, "an invariant is broken");
  return result;
}
