// Everything that must be true of the shop's data, as SQL over all schemas, each with a name. Used
// by the auditor service in the running shop and by the tests after every suite.
import type { OwnedSchema } from "../../config/database.ts";
import { type InvariantResult, OFFENDERS_MAX } from "../../services/contracts/auditor.ts";
import { type Queryable, sql, type Statement } from "../database/database.ts";
import { type Invariant, type InvariantTimes, qualify, schemasOf } from "./invariant.ts";
import { MESSAGE_INVARIANTS } from "./message-invariants.ts";
import { ORDER_INVARIANTS } from "./order-invariants.ts";
import { PAYMENT_INVARIANTS } from "./payment-invariants.ts";
import { SALE_INVARIANTS } from "./sale-invariants.ts";
import { STOCK_INVARIANTS } from "./stock-invariants.ts";

export const INVARIANTS: readonly Invariant[] = [
  ...STOCK_INVARIANTS,
  ...ORDER_INVARIANTS,
  ...PAYMENT_INVARIANTS,
  ...SALE_INVARIANTS,
  ...MESSAGE_INVARIANTS,
];

/** Violations are counted up to this. */
export const VIOLATIONS_MAX = 1_000;

export interface PreparedInvariant {
  readonly name: string;
  readonly checks: string;
  readonly statement: Statement;
  readonly params: readonly number[];
}

export interface PrepareOptions {
  readonly nameOf: (schema: OwnedSchema) => string;
  /** Those that exist; invariants over others are left out. */
  readonly schemas: readonly OwnedSchema[];
  readonly times: InvariantTimes;
}

export function prepareInvariants(
  { nameOf, schemas, times }: PrepareOptions,
  invariants: readonly Invariant[] = INVARIANTS,
): readonly PreparedInvariant[] {
  return invariants
    .filter(({ query }) => schemasOf(query).every((schema) => schemas.includes(schema)))
    .map(({ name, checks, query, params = [] }) => ({
      name,
      checks,
      statement: sql(
        `auditor.${name}`,
        `SELECT offender FROM (${qualify(query, nameOf)}) AS found LIMIT ${VIOLATIONS_MAX}`,
      ),
      params: params.map((param) => times[param]),
    }));
}

/** Runs one invariant. `now` is for the answer's time only. */
export async function runInvariant(
  database: Queryable,
  { name, checks, statement, params }: PreparedInvariant,
  now: () => number,
): Promise<InvariantResult> {
  const startedAt = now();
  const rows = await database.rows<{ offender: string }>(statement, params);
  return {
    name,
    checks,
    violations: rows.length,
    offending: rows.slice(0, OFFENDERS_MAX).map(({ offender }) => offender),
    ran_at: new Date(startedAt).toISOString(),
    duration_ms: Math.max(0, Math.round(now() - startedAt)),
  };
}
