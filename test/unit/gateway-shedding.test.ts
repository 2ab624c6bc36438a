// A gateway with too much to do refuses browsing first and callbacks of payment providers never.
import assert from "node:assert/strict";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import { createShedding, type Rank, rankOf } from "../../services/gateway/shedding.ts";

const RANKS: readonly Rank[] = ["browse", "reserve", "pay", "callback"];
const MANY = 5_000;

function busyGateway(lag = 0) {
  const refused: string[] = [];
  const shedding = createShedding(
    { lagShare: () => lag },
    { increment: (_name, labels) => void refused.push(String(labels?.["rank"])) },
  );
  const isTaken = (rank: Rank): boolean => {
    try {
      shedding.enter(rank);
      return true;
    } catch (error) {
      assert.ok(isPlatformError(error, "OVERLOADED"));
      return false;
    }
  };
  return { shedding, refused, isTaken };
}

describe("a gateway with too much to do", () => {
  it("takes everything while it has little to do", () => {
    const { shedding, isTaken } = busyGateway();
    for (let n = 0; n < MANY; n += 1) shedding.enter("browse")();
    assert.deepEqual(RANKS.map(isTaken), [true, true, true, true]);
  });

  it("refuses the lower ranks first as more requests are under way", () => {
    const { shedding, isTaken, refused } = busyGateway();
    const firstRefused: Rank[] = [];
    for (let n = 0; n < MANY; n += 1) {
      for (const rank of RANKS) {
        if (!firstRefused.includes(rank) && !isTaken(rank)) firstRefused.push(rank);
      }
      shedding.enter("callback");
      if (firstRefused.length === 3) break;
    }
    assert.deepEqual(firstRefused, ["browse", "reserve", "pay"]);
    assert.deepEqual(refused, firstRefused);
    assert.ok(isTaken("callback"));
  });

  it("takes them again when the ones before have been answered", () => {
    const { shedding, isTaken } = busyGateway();
    const leave: (() => void)[] = [];
    while (isTaken("browse")) leave.push(shedding.enter("callback"));
    leave.forEach((one) => {
      one();
    });
    assert.ok(isTaken("browse"));
  });

  it("refuses by the lag of its event loop, and callbacks never", () => {
    assert.deepEqual(RANKS.map(busyGateway(1.2).isTaken), [false, true, true, true]);
    assert.deepEqual(RANKS.map(busyGateway(2).isTaken), [false, false, true, true]);
    assert.deepEqual(RANKS.map(busyGateway(50).isTaken), [false, false, false, true]);
  });

  it("ranks every public route, and only providers' callbacks highest", () => {
    const ranks = new Map(publicRoutes().map((route) => [route.action, rankOf(route)]));
    const of = (rank: Rank) => [...ranks].filter(([, one]) => one === rank).map(([name]) => name);
    assert.deepEqual(of("callback"), ["gateway.receiveCallback"]);
    for (const action of ["order.pay", "order.payByPayment", "payment.simulate"]) {
      assert.equal(ranks.get(action), "pay", action);
    }
    for (const action of ["order.place", "order.cancel", "seckill.buy"]) {
      assert.equal(ranks.get(action), "reserve", action);
    }
    assert.equal(ranks.get("product.list"), "browse");
    assert.equal(ranks.get("auditor.invariants"), "pay", "an operator's");
  });
});
