// Which lines of the log files belong to one order.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readLine, searchLogs } from "../../scripts/logs/log-search.ts";
import { tempFolder } from "../support/temp-folder.ts";

const line = (time: string, fields: object): string =>
  JSON.stringify({ level: "info", time: `2026-01-01T00:00:${time}.000Z`, msg: "m", ...fields });

describe("the search of log files", () => {
  const folder = join(tempFolder(), "log");

  before(() => {
    mkdirSync(folder);
    const files = {
      "edge.log": [
        '{"ready":"edge"}',
        "not json at all",
        line("03", { node: "edge", request_id: "request-1", route: "POST /orders" }),
        line("09", { node: "edge", request_id: "request-9", order_id: "99" }),
        line("10", { node: "edge", order_id: "7" }).slice(0, -5),
      ],
      "core.log.1": [line("01", { node: "core", order_id: "7", request_id: "request-1" })],
      "worker.log": [
        line("05", { node: "worker", trace_id: "trace-1", event: "order.paid.v1" }),
        line("04", { node: "worker", request_id: "request-1", trace_id: "trace-1" }),
      ],
      "mysql.txt": [line("06", { order_id: "7" })],
    };
    for (const [name, lines] of Object.entries(files)) {
      writeFileSync(join(folder, name), lines.join("\n"));
    }
  });

  it("follows an order to its requests and traces, over all files and in time order", async () => {
    const { lines, isCut } = await searchLogs(folder, ["7"]);
    assert.deepEqual(
      lines.map(({ time, node }) => `${time.slice(17, 19)} ${node}`),
      ["01 core", "03 edge", "04 worker", "05 worker"],
    );
    assert.equal(isCut, false);
  });

  it("takes whole values only", async () => {
    assert.deepEqual((await searchLogs(folder, ["9"])).lines, []);
  });

  it("reads no line that is not of a node", () => {
    assert.equal(readLine("2026 something of a server", "mysql.log"), undefined);
    assert.equal(readLine('{"a":', "edge.log"), undefined);
    assert.equal(readLine(line("01", {}), "edge.log")?.node, "edge.log");
  });
});
