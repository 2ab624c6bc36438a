// The checklist of docs/security.md names a test for every line that applies, and each of them exists.
import assert from "node:assert/strict";
import { readRoot } from "../support/source.ts";

const LINES = {
  AUTH: 7,
  ACC: 4,
  IDEM: 1,
  HOOK: 3,
  ERR: 2,
  HTTP: 8,
  RATE: 3,
  NET: 3,
  INJ: 3,
  LOG: 3,
  OPS: 4,
} as const;
const ROW =
  /^\| ([A-Z]+\d) \| (.+?) \| (?:\[[a-z-]+\]\(\.\.\/(test\/\S+\.test\.ts)\): (.+?) )?\|$/gm;

interface Row {
  readonly id: string;
  readonly claim: string;
  readonly file: string | undefined;
  readonly title: string | undefined;
}

function rowsOf(document: string): readonly Row[] {
  const table = document.split("<!-- checklist -->")[1]?.split("<!-- /checklist -->")[0] ?? "";
  return [...table.matchAll(ROW)].map(([, id = "", claim = "", file, title]) => ({
    id,
    claim,
    file,
    title,
  }));
}

/** What is wrong with a row. */
function faultOf({ id, claim, file, title }: Row): string | undefined {
  if (file === undefined || title === undefined) {
    return claim.startsWith("not applicable: ") ? undefined : `${id} has no test`;
  }
  return readRoot(file).includes(`"${title}"`) ? undefined : `${id}: no test "${title}" in ${file}`;
}

describe("the security checklist", () => {
  const rows = rowsOf(readRoot("docs/security.md"));

  it("has every line once", () => {
    const wanted = Object.entries(LINES).flatMap(([group, count]) =>
      Array.from({ length: count }, (_, n) => `${group}${String(n + 1)}`),
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      wanted,
    );
  });

  it("names a test that exists for every line, or says why there can be none", () => {
    assert.deepEqual(
      rows.map(faultOf).filter((fault) => fault !== undefined),
      [],
    );
  });

  it("sees a line without a test and one whose test is gone", () => {
    const document = `<!-- checklist -->
| ACC1 | something | |
| ACC2 | something | [access](../test/security/access.test.ts): no such title |
<!-- /checklist -->`;
    const faults = rowsOf(document).map(faultOf);
    assert.equal(faults.filter((fault) => fault !== undefined).length, 2);
  });
});
