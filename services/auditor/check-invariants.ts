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
 * Runs them one after the other; of one that takes long the last round's result is told. One that could
 * not be checked counts as broken: nobody knows that it holds. When none could be checked the database
 * is away, and that is the answer.
 */
export async function checkInvariants(deps: CheckDeps): Promise<InvariantResult[]> {
  const { database, invariants, lastResult, clock } = deps;
  const items: InvariantResult[] = [];
  let failures = 0;
  for (const invariant of invariants) {
    const last = lastResult(invariant.name);
    if (last !== undefined && last.duration_ms > WAITED_FOR_MAX_MS) {
      items.push(last);
      continue;
    }
    try {
      items.push(await runInvariant(database, invariant, () => clock.now()));
    } catch (error) {
      failures += 1;
      if (failures === invariants.length) throw error;
      items.push(last ?? uncheckedResult(invariant, clock));
    }
  }
  return items;
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
