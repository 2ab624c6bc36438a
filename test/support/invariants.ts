// The executable invariants, for the end of every suite that changes data: the same queries as in
// the running shop, read with the auditor's own user.
import assert from "node:assert/strict";
import type { OwnedSchema } from "../../config/database.ts";
import {
  type PreparedInvariant,
  prepareInvariants,
  runInvariant,
} from "../../mixins/auditor/invariants.ts";
import type { InvariantTimes } from "../../mixins/auditor/invariant.ts";
import type { InvariantResult } from "../../services/contracts/auditor.ts";
import type { TestDatabase } from "./database.ts";
import { eventually } from "./eventually.ts";

/** Everything is due at once; a hold may last as long as a test does. */
const AT_ONCE: InvariantTimes = { graceS: 0, holdS: 3_600 };
const QUIESCE_TIMEOUT_MS = 10_000;

/** What is needed of a database to look into all of it. */
export type InvariantSource = Pick<TestDatabase, "database" | "nameOf">;

export interface InvariantOptions {
  readonly schemas: readonly OwnedSchema[];
  readonly times?: InvariantTimes;
  /** Name of the one that is looked at. */
  readonly only?: string;
}

function invariantsOf(
  test: InvariantSource,
  { schemas, times = AT_ONCE, only }: InvariantOptions,
): readonly PreparedInvariant[] {
  return prepareInvariants({ nameOf: (schema) => test.nameOf(schema), schemas, times }).filter(
    ({ name }) => only === undefined || name === only,
  );
}

/** The invariants that do not hold now. */
export async function violations(
  test: InvariantSource,
  options: InvariantOptions,
): Promise<readonly InvariantResult[]> {
  const database = test.database("auditor");
  const results: InvariantResult[] = [];
  for (const invariant of invariantsOf(test, options)) {
    results.push(await runInvariant(database, invariant, Date.now));
  }
  return results.filter((result) => result.violations > 0);
}

/** Waits until messages and sagas have come to rest, then demands that every invariant holds. */
export async function assertInvariants(
  test: TestDatabase,
  options: InvariantOptions,
): Promise<void> {
  let last: readonly InvariantResult[] = [];
  await eventually(
    async () => {
      last = await violations(test, options);
      return last.length === 0;
    },
    { timeoutMs: QUIESCE_TIMEOUT_MS, what: "every invariant holds" },
  ).catch(() => undefined);
  assert.deepEqual(
    last.map(({ name, violations: count, offending }) => ({ name, count, offending })),
    [],
  );
}
