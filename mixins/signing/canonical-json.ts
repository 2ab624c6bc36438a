// JSON in one form only, so that a signature over it can be checked by anybody: RFC 8785 for what
// certificates hold, which is strings without unpaired surrogates, safe integers, lists and objects.
import { assert } from "../../services/kernel/assert.ts";

/** Errors: an AssertionError for what has no such form. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    const members = entries.map(([name, one]) => `${JSON.stringify(name)}:${canonicalJson(one)}`);
    return `{${members.join(",")}}`;
  }
  if (typeof value === "number") {
    assert(Number.isSafeInteger(value), "only safe integers have one form");
    return String(value);
  }
  assert(
    typeof value === "string" || typeof value === "boolean" || value === null,
    `a ${typeof value} has no form in JSON`,
  );
  return JSON.stringify(value);
}
