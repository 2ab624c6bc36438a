import assert from "node:assert/strict";
import type { Log } from "../../mixins/log.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { createSnowflakeCounter } from "../../services/kernel/snowflake.ts";
import {
  createProductIdFilter,
  FILTER_CERTAINTY_DELAY_MS,
} from "../../services/product/product-id-filter.ts";

const quiet: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  fatal: () => undefined,
  child: () => quiet,
};
const BORN_MS = Date.parse("2026-01-01T00:00:00.000Z");
const AGED_MS = BORN_MS + FILTER_CERTAINTY_DELAY_MS + 1_000;

/** `count` ids born at one time. */
function idsBornAt(timeMs: number, count: number): string[] {
  const counter = createSnowflakeCounter({
    workerId: 1,
    floorMs: timeMs - 1,
    highWaterMs: timeMs + 1_000,
  });
  return Array.from({ length: count }, () => counter.next(timeMs) ?? "");
}

function setup(ids: readonly string[]) {
  const time = { nowMs: AGED_MS };
  const clock: Clock = { now: () => time.nowMs, monotonic: () => time.nowMs };
  const rows = [...ids];
  const onPage = { run: (): void => undefined };
  const filter = createProductIdFilter({
    clock,
    log: quiet,
    products: {
      count: () => Promise.resolve(rows.length),
      idsAfter(after, limit) {
        onPage.run();
        const later = rows.filter((id) => BigInt(id) > BigInt(after));
        return Promise.resolve(later.slice(0, limit));
      },
    },
  });
  return { filter, time, rows, onPage };
}

describe("the filter of product ids", () => {
  it("refuses nothing before it was built", () => {
    const { filter } = setup([]);
    assert.equal(filter.mayExist(idsBornAt(BORN_MS, 1)[0]!), true);
  });

  it("never refuses an existing id, over several pages", async () => {
    const ids = idsBornAt(BORN_MS, 2_500);
    const { filter } = setup(ids);
    await filter.rebuild();
    assert.deepEqual(
      ids.filter((id) => !filter.mayExist(id)),
      [],
    );
  });

  it("refuses nearly all ids that do not exist", async () => {
    const ids = idsBornAt(BORN_MS, 4_000);
    const { filter } = setup(ids.slice(0, 2_000));
    await filter.rebuild();
    const maybe = ids.slice(2_000).filter((id) => filter.mayExist(id));
    assert.ok(maybe.length < 60, `${maybe.length} of 2000 passed`);
  });

  it("says maybe to every id younger than its last build, and for a while before it", async () => {
    const { filter, time } = setup([]);
    await filter.rebuild();
    assert.equal(filter.mayExist(idsBornAt(time.nowMs + 1, 1)[0]!), true);
    assert.equal(filter.mayExist(idsBornAt(time.nowMs - FILTER_CERTAINTY_DELAY_MS, 1)[0]!), true);
    assert.equal(
      filter.mayExist(idsBornAt(time.nowMs - FILTER_CERTAINTY_DELAY_MS - 1, 1)[0]!),
      false,
    );
  });

  it("knows an id it was told of, also while it is being rebuilt past its place", async () => {
    const [early, late] = idsBornAt(BORN_MS, 2) as [string, string];
    const { filter, onPage } = setup([late]);
    await filter.rebuild();
    assert.equal(filter.mayExist(early), false);
    onPage.run = () => filter.add([early]);
    await filter.rebuild();
    assert.equal(filter.mayExist(early), true);
  });

  it("keeps the old filter when a rebuild fails", async () => {
    const [known, unknown] = idsBornAt(BORN_MS, 2) as [string, string];
    const { filter, onPage } = setup([known]);
    await filter.rebuild();
    onPage.run = () => {
      throw new Error("away");
    };
    await assert.rejects(filter.rebuild(), /away/);
    assert.equal(filter.mayExist(known), true);
    assert.equal(filter.mayExist(unknown), false);
  });
});
