// The table of who may do what: for each operation the statuses that everybody gets, in the order of
// ACTORS. It is a file of its own so that a change of anybody's rights is a line in a review.
import { readRoot } from "../source.ts";

const FILE = "test/security/authorisation.json";

interface Table {
  readonly actors: readonly string[];
  readonly operations: Readonly<Record<string, readonly number[]>>;
}

export const { actors: NAMED_ACTORS, operations: AUTHORISATION } = JSON.parse(
  readRoot(FILE),
) as Table;
