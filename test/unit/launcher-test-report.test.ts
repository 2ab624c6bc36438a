import assert from "node:assert/strict";
import { readReport } from "../../scripts/test-run/suites.ts";

describe("reading a suite's report", () => {
  it("counts what passed and names what failed and what was repeated", () => {
    const result = readReport(
      JSON.stringify({
        stats: { passes: 2, pending: 1, failures: 1 },
        passes: [
          { fullTitle: "orders are placed", currentRetry: 0, err: {} },
          { fullTitle: "orders are cancelled", currentRetry: 1, err: {} },
        ],
        failures: [{ fullTitle: "orders are paid once", err: { message: "twice" } }],
      }),
    );
    assert.equal(result.passed, 2);
    assert.equal(result.pending, 1);
    assert.deepEqual(result.repeated, ["orders are cancelled"]);
    assert.deepEqual(result.failures, [{ title: "orders are paid once", reason: "twice" }]);
  });

  it("refuses a report that was cut short", () => {
    assert.throws(() => readReport('{"stats":{"passes":2,'));
  });
});
