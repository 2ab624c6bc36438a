// The k6 script cannot be run here: k6 is a program of its own. What can be known without it is checked.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const SCRIPT = resolve(import.meta.dirname, "..", "load", "seckill.k6.js");
/** Metrics that k6 makes by itself. */
const BUILT_IN = new Set(["dropped_iterations"]);

describe("the k6 script", () => {
  const text = readFileSync(SCRIPT, "utf8");

  it("is a module that parses", () => {
    const { status, stderr } = spawnSync(process.execPath, ["--check", SCRIPT], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  });

  it("sets thresholds on metrics that it measures", () => {
    const measured = [...text.matchAll(/new (?:Counter|Rate|Trend)\("(\w+)"/g)].map(
      ([, name]) => name,
    );
    const thresholds = /thresholds: \{([\s\S]*?)\n {2}\},/.exec(text)?.[1] ?? "";
    const named = [...thresholds.matchAll(/^ {4}(\w+): \[/gm)].map(([, name]) => name ?? "");
    assert.ok(named.length >= 5, thresholds);
    const unknown = named.filter((name) => !measured.includes(name) && !BUILT_IN.has(name));
    assert.deepEqual(unknown, []);
  });
});
