// The smallest run of the sale's benchmark: floor F and the product sell the same sale, whole.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { StoredResult } from "../../scripts/bench/sale/result.ts";
import type { SaleSample } from "../../scripts/bench/sale/sample.ts";
import { tempFolder } from "../support/temp-folder.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "..", "..");
const RUN_TIMEOUT_MS = 150_000;
const UNITS = 600;

function assertSold({ answers, winners, lastOrderMs, sellOutMs }: SaleSample): void {
  const { queued = 0, waiting = 0 } = answers!;
  assert.equal(queued + waiting, UNITS, JSON.stringify(answers));
  assert.equal(winners!.count, queued);
  assert.ok(lastOrderMs! >= sellOutMs!);
}

describe("npm run bench:sale", () => {
  it("sells a sale of floor and product to the last unit and writes its reports", function () {
    this.timeout(RUN_TIMEOUT_MS + 5_000);
    const out = tempFolder();
    const args = ["--size", "tiny", "--only", "bare64,floorSale,sale,soldOut", "--out", out];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(SOURCE_DIR, "scripts/bench/sale/main.ts"), ...args],
      { cwd: SOURCE_DIR, encoding: "utf8", timeout: RUN_TIMEOUT_MS },
    );
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    const read = (name: string): string => readFileSync(join(out, name), "utf8");
    const { samples, aims } = JSON.parse(read("bench-sale.json")) as StoredResult;
    const [sale, floorSale, soldOut] = [
      samples.sale![0]!,
      samples.floorSale![0]!,
      samples.soldOut![0]!,
    ];
    assertSold(floorSale);
    assertSold(sale);
    const expected = ["core", "crowd", "edge", "mysql", "nats", "redis", "worker"];
    assert.deepEqual(Object.keys(sale.cpuUs).sort(), expected);
    assert.ok(soldOut.answers!["SECKILL_SOLD_OUT"]! > 0);
    assert.ok(aims.length >= 3 && aims.every(({ median }) => median > 0));
    assert.match(read("bench-sale.md"), /# Benchmark of the flash sale/);
    assert.match(read("load-report.md"), /# Load report/);
    assert.ok(read("bench-sale.svg").startsWith("<svg "));
  });
});
