// What the fast lane refuses by itself, with nothing running: by the window, by a sold-out mark, by load.
import assert from "node:assert/strict";
import { setImmediate as endOfTurn } from "node:timers/promises";
import type { SaleSnapshot } from "../../services/contracts/seckill.ts";
import { createLoadGuard } from "../../services/gateway/fast-lane/load-guard.ts";
import {
  boundMs,
  createFigureBook,
  quantileMs,
  sumOf,
} from "../../services/gateway/fast-lane/sale-figures.ts";
import {
  createSaleSnapshots,
  WINDOW_MARGIN_MS,
} from "../../services/gateway/fast-lane/sale-snapshots.ts";
import {
  createSoldOutMarks,
  type HolderPort,
} from "../../services/gateway/fast-lane/sold-out-marks.ts";
import { silentLog as log } from "../support/database.ts";
import { fakeClock } from "../support/fake-clock.ts";

const SALE = "7001";

describe("the snapshots of sales", () => {
  const snapshot = (changes: Partial<SaleSnapshot> = {}): SaleSnapshot => ({
    id: SALE,
    status: "published",
    starts_at_ms: 1_000_000,
    ends_at_ms: 2_000_000,
    pass_required: false,
    remaining: 1,
    ...changes,
  });

  it("refuse by the window only outside the margin of the clocks", () => {
    const clock = fakeClock();
    const snapshots = createSaleSnapshots({ fetch: () => Promise.resolve([]), clock, log });
    const refusalAt = (nowMs: number, changes: Partial<SaleSnapshot> = {}) => {
      clock.nowMs = nowMs;
      return snapshots.refusalOf(snapshot(changes));
    };
    assert.equal(refusalAt(1_000_000 - WINDOW_MARGIN_MS - 1), "SECKILL_NOT_STARTED");
    assert.equal(refusalAt(1_000_000 - WINDOW_MARGIN_MS), undefined);
    assert.equal(refusalAt(1_500_000), undefined);
    assert.equal(refusalAt(2_000_000 + WINDOW_MARGIN_MS - 1), undefined);
    assert.equal(refusalAt(2_000_000 + WINDOW_MARGIN_MS), "SECKILL_ENDED");
    assert.equal(refusalAt(1_500_000, { status: "closing" }), "SECKILL_ENDED");
  });

  it("know nothing of a sale before it was read, keep the last list, and remember what is over", async () => {
    const clock = fakeClock();
    let answer: () => Promise<readonly SaleSnapshot[]> = () => Promise.resolve([snapshot()]);
    const snapshots = createSaleSnapshots({ fetch: () => answer(), clock, log });
    assert.equal(snapshots.find(SALE), undefined);
    await snapshots.poll();
    assert.equal(snapshots.find(SALE)?.status, "published");
    answer = () => Promise.reject(new Error("away"));
    await snapshots.poll();
    assert.equal(snapshots.find(SALE)?.status, "published");
    answer = () => Promise.resolve([snapshot({ status: "closing" })]);
    await snapshots.poll();
    answer = () => Promise.resolve([]);
    await snapshots.poll();
    assert.equal(snapshots.find(SALE)?.status, "closed");
  });

  it("are read once more for a hint that comes during a read", async () => {
    let reads = 0;
    const fetch = () => {
      reads += 1;
      return Promise.resolve([snapshot({ remaining: reads })]);
    };
    const snapshots = createSaleSnapshots({ fetch, clock: fakeClock(), log });
    await Promise.all([snapshots.poll(), snapshots.poll(), snapshots.poll()]);
    assert.equal(reads, 2);
    assert.equal(snapshots.find(SALE)?.remaining, 2);
  });
});

describe("the sold-out marks", () => {
  /** A gate with the given buyers on pages of two. */
  function gateOf(userIds: string[], state: { version: string | null; stock: number }): HolderPort {
    return {
      holders({ known_version: known, cursor = "0" }) {
        const at = Number(cursor);
        const isNamed = state.version !== null && state.stock === 0 && known !== state.version;
        const next = at + 2 < userIds.length ? String(at + 2) : null;
        return Promise.resolve({
          ...state,
          holders: userIds.length,
          user_ids: isNamed ? userIds.slice(at, at + 2) : [],
          next: isNamed ? next : null,
        });
      },
    };
  }

  async function marked(port: HolderPort, clock = fakeClock()) {
    const marks = createSoldOutMarks({ port, clock, log });
    marks.note(SALE);
    await endOfTurn();
    return marks;
  }

  it("refuse those who surely hold nothing, and nobody who may hold a unit", async () => {
    const marks = await marked(gateOf(["a", "b", "c", "d", "e"], { version: "1:1", stock: 0 }));
    assert.equal(marks.isSoldOutFor(SALE, "x"), true);
    for (const holder of ["a", "b", "c", "d", "e"]) {
      assert.equal(marks.isSoldOutFor(SALE, holder), false, holder);
    }
    assert.equal(marks.isSoldOutFor("7002", "x"), false);
  });

  it("end after their time, unless the gate says that nothing has changed", async () => {
    const clock = fakeClock();
    const state = { version: "1:1", stock: 0 };
    const marks = await marked(gateOf(["a"], state), clock);
    clock.nowMs += 150;
    assert.equal(marks.isSoldOutFor(SALE, "x"), true);
    await endOfTurn();
    clock.nowMs += 150;
    assert.equal(marks.isSoldOutFor(SALE, "x"), true, "asked again after 150 ms");
    await endOfTurn();
    clock.nowMs += 250;
    assert.equal(marks.isSoldOutFor(SALE, "x"), false);
  });

  it("do not stand while there are units, while the gate is not asked, or after a hint", async () => {
    const withUnits = await marked(gateOf(["a"], { version: "1:1", stock: 1 }));
    assert.equal(withUnits.isSoldOutFor(SALE, "x"), false);
    const withoutGate = await marked(gateOf(["a"], { version: null, stock: 0 }));
    assert.equal(withoutGate.isSoldOutFor(SALE, "x"), false);
    const away = await marked({ holders: () => Promise.reject(new Error("away")) });
    assert.equal(away.isSoldOutFor(SALE, "x"), false);
    const hinted = await marked(gateOf(["a"], { version: "1:1", stock: 0 }));
    hinted.clear(SALE);
    assert.equal(hinted.isSoldOutFor(SALE, "x"), false);
  });

  it("do not trust a list of holders that changed while it was read", async () => {
    const state = { version: "1:1", stock: 0 };
    const gate = gateOf(["a", "b", "c"], state);
    let pages = 0;
    const marks = await marked({
      holders(params) {
        pages += 1;
        if (pages === 3) state.version = "1:2";
        return gate.holders(params);
      },
    });
    assert.equal(pages, 3);
    assert.equal(marks.isSoldOutFor(SALE, "x"), false);
  });
});

describe("the lane's load guard", () => {
  it("refuses while too many wait, and not longer", () => {
    const guard = createLoadGuard({ lagMaxMs: 1_000, waitingMax: 2 });
    guard.enter();
    assert.equal(guard.isOverloaded(), false);
    guard.enter();
    assert.equal(guard.isOverloaded(), true);
    guard.leave();
    assert.equal(guard.isOverloaded(), false);
  });
});

describe("the figures of a sale", () => {
  it("add up over gateways, winners apart from others", () => {
    const [left, right] = [createFigureBook(), createFigureBook()];
    left.count(SALE, "queued", 10);
    right.count(SALE, "queued", 100);
    right.count(SALE, "SECKILL_SOLD_OUT", 1);
    const sum = sumOf([left.of(SALE)!, right.of(SALE)!]);
    assert.deepEqual(sum.answers, { queued: 2, SECKILL_SOLD_OUT: 1 });
    assert.ok(quantileMs(sum.winners, 0.5)! >= 10 && quantileMs(sum.winners, 0.5)! < 15.1);
    assert.ok(quantileMs(sum.winners, 0.99)! >= 100);
    assert.ok(quantileMs(sum.others, 0.99)! < 2);
  });

  it("have no quantile without answers, and one bound for what took longest", () => {
    const book = createFigureBook();
    assert.equal(book.of(SALE), undefined);
    book.count(SALE, "queued", 1e9);
    assert.equal(quantileMs(book.of(SALE)!.others, 0.5), null);
    assert.ok(quantileMs(book.of(SALE)!.winners, 0.5)! <= boundMs(26));
  });
});
