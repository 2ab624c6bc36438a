import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  makeThrowAwayFolder,
  removeThrowAwayFolder,
} from "../../scripts/launcher/throw-away-folder.ts";
import { readReport } from "../../scripts/test-run/suites.ts";

const TOOLS = join(import.meta.dirname, "..", "..");
const FLAKY = `
  let runs = 0;
  describe("a flaky test", () => {
    it("passes at the third run", () => {
      runs += 1;
      if (runs < 3) throw new Error("not at run " + runs);
    });
    it("never passes", () => {
      runs += 1;
      throw new Error("not at run " + runs);
    });
  });
`;

describe("reading a suite's report", () => {
  it("counts what passed and names what failed and what was repeated", () => {
    const result = readReport(
      JSON.stringify({
        stats: { passes: 2, pending: 1, failures: 1 },
        passes: [
          { fullTitle: "orders are placed", currentRetry: 0, err: {} },
          { fullTitle: "orders are cancelled", currentRetry: 1, err: { message: "late" } },
        ],
        failures: [{ fullTitle: "orders are paid once", err: { message: "twice" } }],
      }),
    );
    assert.equal(result.passed, 2);
    assert.equal(result.pending, 1);
    assert.deepEqual(result.repeated, [{ title: "orders are cancelled", reason: "late" }]);
    assert.deepEqual(result.failures, [{ title: "orders are paid once", reason: "twice" }]);
  });

  for (const jobs of [[], ["--parallel", "--jobs", "2"]]) {
    it(`tells why a test failed at first, ${jobs.length === 0 ? "in this process" : "in workers"}`, () => {
      const folder = makeThrowAwayFolder("flash-sale-report-");
      const [file, output] = [join(folder, "flaky.test.mjs"), join(folder, "report.json")];
      writeFileSync(file, FLAKY);
      const reporter = join(TOOLS, "scripts", "test-run", "json-with-retries.ts");
      const mocha = join(TOOLS, "node_modules", "mocha", "bin", "mocha.js");
      const report = ["--reporter", reporter, "--reporter-option", `output=${output}`];
      spawnSync(process.execPath, [mocha, ...report, ...jobs, "--retries", "2", file]);
      const { passed, repeated, failures } = readReport(readFileSync(output, "utf8"));
      removeThrowAwayFolder(folder);
      assert.equal(passed, 1);
      assert.deepEqual(
        [...repeated, ...failures].map(({ title, reason }) => [title, reason.split("\n")[0]]),
        [
          ["a flaky test passes at the third run", "Error: not at run 1"],
          ["a flaky test never passes", "Error: not at run 4"],
        ],
      );
    });
  }

  it("refuses a report that was cut short", () => {
    assert.throws(() => readReport('{"stats":{"passes":2,'));
  });
});
