// The planted bugs keep fitting the tree they are planted into, and their catchers are there; whether they
// are caught is shown by `npm run planted`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { plants } from "../planted/plants.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "../..");
const PLANTS_MIN = 20;

interface Hunk {
  readonly file: string;
  /** What the patch expects there. */
  readonly before: string;
}

function hunksOf(patch: string): readonly Hunk[] {
  return patch
    .split(/^diff --git /m)
    .slice(1)
    .flatMap((part) => {
      const file = /^--- a\/(.*)$/m.exec(part)?.[1] ?? "";
      return part
        .split(/^@@.*$/m)
        .slice(1)
        .map((hunk) => ({ file, before: beforeOf(hunk) }));
    });
}

function beforeOf(hunk: string): string {
  const lines = hunk.split("\n").slice(1, -1);
  return lines.flatMap((line) => (line.startsWith("+") ? [] : [line.slice(1)])).join("\n");
}

function isThere({ file, before }: Hunk): boolean {
  return readFileSync(join(SOURCE_DIR, file), "utf8").includes(before);
}

describe("the planted bugs", () => {
  it(`are ${PLANTS_MIN} or more, each under a number of its own`, () => {
    const numbers = plants().map(({ name }) => name.slice(0, 2));
    assert.ok(numbers.length >= PLANTS_MIN);
    assert.equal(new Set(numbers).size, numbers.length);
  });

  for (const { name, patch, catcher } of plants()) {
    it(`${name} fits the tree`, () => {
      const hunks = hunksOf(readFileSync(patch, "utf8"));
      assert.ok(hunks.length > 0);
      const astray = hunks.filter((hunk) => !isThere(hunk)).map(({ file }) => file);
      assert.deepEqual(astray, [], "changed where the bug is planted");
      if (catcher.kind === "test") readFileSync(join(SOURCE_DIR, catcher.file));
    });
  }

  it("are seen not to fit what has changed", () => {
    const patch = "diff --git a b\n--- a/package.json\n+++ b\n@@ -1 +1 @@\n-not there\n+x\n";
    assert.deepEqual(hunksOf(patch).map(isThere), [false]);
  });
});
