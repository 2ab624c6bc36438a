// Programmer errors. An AssertionError is never answered to a client and never caught to go on.
import nodeAssert from "node:assert";

export function assert(condition: boolean, message: string): asserts condition {
  nodeAssert.ok(condition, message);
}

/** Unwraps a value that the surrounding code has already proven to be there. */
export function must<T>(value: T | null | undefined, what: string): T {
  nodeAssert.ok(value !== null && value !== undefined, `expected ${what}`);
  return value;
}

/** Ends an exhaustive switch; unreachable when the types hold. */
export function unreachable(value: never): never {
  throw new nodeAssert.AssertionError({ message: `unreachable value: ${String(value)}` });
}
