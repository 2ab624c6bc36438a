// The invariants for somebody who waits for them: run now, or, where they read millions of rows, as the last
// round in the background found them.
import { type PreparedInvariant, runInvariant } from "../../mixins/auditor/invariants.ts";
import type { Database } from "../../mixins/database/database.ts";
import type { InvariantResult } from "../contracts/auditor.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Rounds } from "./rounds.ts";

/** What took longer in the last round is not run again for somebody who waits. */
const WAITED_FOR_MAX_MS = 500;

export interface CheckDeps {
  readonly database: Database;
  readonly invariants: readonly PreparedInvariant[];
  readonly lastResult: Rounds["resultOf"];
  readonly clock: Clock;
}

/**
 * Runs them one after the other; of one that takes long, or could not be run, the last round's result is
 * told. One that was never checked counts as broken: nobody knows that it holds. When none could be run
 * the database is away, and that is the answer.
 */
export async function checkInvariants(deps: CheckDeps): Promise<InvariantResult[]> {
  const { database, invariants, lastResult, clock } = deps;
  const isLong = ({ name }: PreparedInvariant): boolean =>
    (lastResult(name)?.duration_ms ?? 0) > WAITED_FOR_MAX_MS;
  const run = invariants.filter((invariant) => !isLong(invariant));
  const found = new Map<PreparedInvariant, InvariantResult>();
  let failures = 0;
  for (const invariant of run) {
    try {
      found.set(invariant, await runInvariant(database, invariant, () => clock.now()));
    } catch (error) {
      failures += 1;
      if (failures === run.length) throw error;
    }
  }
  return invariants.map(
    (invariant) =>
      found.get(invariant) ?? lastResult(invariant.name) ?? uncheckedResult(invariant, clock),
  );
}

function uncheckedResult({ name, checks }: PreparedInvariant, clock: Clock): InvariantResult {
  const ran_at = new Date(clock.now()).toISOString();
  return {
    name,
    checks,
    violations: 1,
    offending: ["could not be checked"],
    ran_at,
    duration_ms: 0,
  };
}
