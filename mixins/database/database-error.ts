// What a statement can fail with, sorted by what the caller may do about it. Messages name the
// statement and the server's code; they never carry SQL or values.
import { isPlatformError, PlatformError } from "../../services/contracts/errors.ts";

const ER_DUPLICATE_KEY = 1062;
const ER_LOCK_WAIT_TIMEOUT = 1205;
const ER_DEADLOCK = 1213;

/** Codes of the server that mean: not now, through no fault of the statement. */
const UNAVAILABLE_NUMBERS: ReadonlySet<number> = new Set([
  1021, // disk full
  1040, // too many connections
  1053, // shutting down
  1114, // table full
  1203, // too many connections of this user
  1226, // a resource limit of this user
  1290, // running with an option such as --read-only
  1317, // interrupted
  1836, // read-only mode
  1927, // connection was killed
  1969, // statement time exceeded (MariaDB)
  3024, // statement time exceeded (MySQL)
]);

/** Codes whose server message names tables, columns or constraints and never a value. */
const VALUE_FREE_NUMBERS: ReadonlySet<number> = new Set([
  1048, 1052, 1054, 1136, 1142, 1146, 1264, 1364, 1406, 3819, 4025,
]);

/** A mistake of the statement or a broken constraint: retrying the same will not help. */
export class DatabaseError extends Error {
  readonly statement: string;
  readonly number: number;
  /** Name of the violated unique key, such as `PRIMARY`; undefined for every other error. */
  readonly constraint: string | undefined;

  constructor(statement: string, error: ServerError) {
    const detail = VALUE_FREE_NUMBERS.has(error.errno ?? 0) ? `: ${error.sqlMessage ?? ""}` : "";
    super(`${statement}: ${error.code ?? "unknown error"} (${error.errno ?? 0})${detail}`);
    this.name = "DatabaseError";
    this.statement = statement;
    this.number = error.errno ?? 0;
    this.constraint = this.number === ER_DUPLICATE_KEY ? violatedKey(error) : undefined;
  }
}

/** The parts of a driver error that are looked at. */
export interface ServerError {
  readonly code?: string | undefined;
  readonly errno?: number | undefined;
  readonly sqlMessage?: string | undefined;
  readonly fatal?: boolean | undefined;
}

/** MySQL says `for key 'orders.PRIMARY'`, MariaDB `for key 'PRIMARY'`. */
function violatedKey({ sqlMessage = "" }: ServerError): string | undefined {
  return /for key '(?:[^'.]*\.)?([^']+)'$/.exec(sqlMessage)?.[1];
}

/** True for a violated unique key; with `constraint`, only for that one (`PRIMARY` or its name). */
export function isDuplicateKey(error: unknown, constraint?: string): boolean {
  return (
    error instanceof DatabaseError &&
    error.number === ER_DUPLICATE_KEY &&
    (constraint === undefined || error.constraint === constraint)
  );
}

/** The transaction lost against another one; running it again may succeed. */
export function isLockConflict(error: unknown): boolean {
  return isDeadlock(error) || isLockTimeout(error);
}

export function isDeadlock(error: unknown): boolean {
  return error instanceof DatabaseError && error.number === ER_DEADLOCK;
}

export function isLockTimeout(error: unknown): boolean {
  return error instanceof DatabaseError && error.number === ER_LOCK_WAIT_TIMEOUT;
}

/** True when the statement never got an answer: its connection broke or its time ran out. */
export function isUnanswered(error: unknown): boolean {
  return (
    isPlatformError(error, "SERVICE_UNAVAILABLE") && (error as LossMarked).lossKind !== undefined
  );
}

/** True when the connection broke at once; a new one may work. False after a time-out. */
export function isConnectionLoss(error: unknown): boolean {
  return isUnanswered(error) && (error as LossMarked).lossKind === "broken";
}

interface LossMarked {
  lossKind?: "broken" | "timeout";
}

const TIMEOUT_CODES: ReadonlySet<string> = new Set(["PROTOCOL_SEQUENCE_TIMEOUT", "ETIMEDOUT"]);

/** Turns a driver error into the platform's; the driver's own carries SQL and must not travel. */
export function describeFailure(statement: string, error: ServerError): Error {
  const isServerAnswer = error.sqlMessage !== undefined && error.errno !== undefined;
  if (isServerAnswer && !UNAVAILABLE_NUMBERS.has(error.errno)) {
    return new DatabaseError(statement, error);
  }
  const failure: PlatformError & LossMarked = new PlatformError("SERVICE_UNAVAILABLE");
  failure.cause = new Error(`${statement}: ${error.code ?? "connection failed"}`);
  if (!isServerAnswer)
    failure.lossKind = TIMEOUT_CODES.has(error.code ?? "") ? "timeout" : "broken";
  return failure;
}
