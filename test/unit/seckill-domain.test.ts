// A sale's rules and the decision about a batch of winners, with nothing running.
import assert from "node:assert/strict";
import { isPlatformError } from "../../services/contracts/errors.ts";
import {
  type AdmitCommand,
  decideBatch,
  type KnownAdmissions,
} from "../../services/seckill/domain/admission.ts";
import {
  endClosing,
  endPublishing,
  remainingOf,
  type Sale,
  shownStatus,
  startClosing,
  startPublishing,
  takeBack,
} from "../../services/seckill/domain/sale.ts";

const NOW = new Date("2026-01-01T12:00:00.000Z");
const LATER = new Date("2026-01-01T13:00:00.000Z");

const DRAFT: Sale = {
  id: "1",
  skuId: "2",
  productId: "3",
  name: "Tea",
  title: "Tea",
  price: 99,
  currency: "CNY",
  quantity: 3,
  admitted: 0,
  granted: 0,
  returned: 0,
  isPassRequired: false,
  strategy: "gate",
  status: "draft",
  attempt: 0,
  mode: "db",
  epoch: 0,
  version: 0,
  gateRunId: null,
  startsAt: new Date("2026-01-01T11:00:00.000Z"),
  endsAt: LATER,
};
const PUBLISHING = startPublishing(DRAFT, NOW);
const OPEN = endPublishing(PUBLISHING, { attempt: 1, isAllotted: true });
const GATED: Sale = { ...OPEN, mode: "redis", epoch: 2 };
const NOTHING: KnownAdmissions = { stateByOrder: new Map(), heldByUser: new Map() };

function winner(orderId: number, changes: Partial<AdmitCommand> = {}): AdmitCommand {
  const { mode, epoch } = GATED;
  const id = String(orderId);
  return {
    orderId: id,
    userId: `7${id}`,
    requestId: "r",
    mode: mode as "redis",
    epoch,
    ...changes,
  };
}

function kinds(sale: Sale, commands: readonly AdmitCommand[], known = NOTHING): readonly string[] {
  return decideBatch(sale, NOW, commands, known).outcomes.map((outcome) =>
    outcome.kind === "refused" ? outcome.refusal : outcome.kind,
  );
}

describe("a flash sale", () => {
  it("is published once its units are there, and a draft again when they are not", () => {
    assert.deepEqual([PUBLISHING.status, PUBLISHING.attempt], ["publishing", 1]);
    assert.deepEqual([OPEN.status, OPEN.mode, OPEN.epoch], ["published", "db", 1]);
    const refused = endPublishing(PUBLISHING, { attempt: 1, isAllotted: false });
    assert.equal(refused.status, "draft");
    assert.equal(startPublishing(refused, NOW).attempt, 2);
  });

  it("ignores the answer to an attempt that is not its last", () => {
    assert.equal(endPublishing(PUBLISHING, { attempt: 0, isAllotted: true }), PUBLISHING);
    assert.equal(endPublishing(OPEN, { attempt: 1, isAllotted: false }), OPEN);
  });

  it("cannot be published after its end, nor closed before it was published", () => {
    assert.throws(
      () => startPublishing(DRAFT, LATER),
      (error) => isPlatformError(error, "SECKILL_ENDED"),
    );
    for (const sale of [DRAFT, PUBLISHING]) {
      assert.throws(
        () => startClosing(sale),
        (error) => isPlatformError(error, "SECKILL_ILLEGAL_TRANSITION"),
      );
    }
    assert.throws(() => endClosing(OPEN));
  });

  it("returns what nobody has when it is closed, under a new epoch, once", () => {
    const { state, events } = startClosing({ ...GATED, admitted: 1, granted: 2 });
    assert.deepEqual([state.status, state.epoch, state.returned], ["closing", 3, 2]);
    assert.deepEqual(events[0]?.payload, { sale_id: "1", sku_id: "2", returned: 2 });
    assert.equal(remainingOf(state), 0);
    assert.deepEqual(startClosing(state).events, []);
    assert.equal(endClosing(state).status, "closed");
  });

  it("takes a unit back while it is published, and passes it on to the stock afterwards", () => {
    const back = takeBack({ ...GATED, admitted: 3 }, "9");
    assert.deepEqual([back.state.admitted, back.events.length], [2, 0]);
    const closed = endClosing(startClosing({ ...GATED, admitted: 3 }).state);
    const late = takeBack(closed, "9");
    assert.deepEqual([late.state.admitted, late.state.returned], [2, 1]);
    assert.equal(late.events[0]?.name, "seckill.unit_returned.v1");
  });

  it("is shown by its time and its units", () => {
    const at = (sale: Sale, date: Date) => shownStatus(sale, date.getTime());
    assert.equal(at(OPEN, new Date(OPEN.startsAt.getTime() - 1)), "published");
    assert.equal(at(OPEN, OPEN.startsAt), "open");
    assert.equal(at({ ...OPEN, admitted: 3 }, NOW), "sold_out");
    assert.equal(at(OPEN, OPEN.endsAt), "closing");
    assert.equal(at(DRAFT, NOW), "draft");
  });
});

describe("the winners of a batch", () => {
  it("get the room that is left in the order of the gate, and the gate's mistake is counted", () => {
    const decision = decideBatch(
      { ...GATED, admitted: 1 },
      NOW,
      [1, 2, 3].map((id) => winner(id)),
      NOTHING,
    );
    assert.deepEqual(
      decision.granted.map(({ orderId }) => orderId),
      ["1", "2"],
    );
    assert.equal(decision.guardRefused, 1);
  });

  it("are fenced when the mode or the epoch has moved on", () => {
    const old = winner(1, { epoch: 1 });
    const other = winner(2, { mode: "db" });
    assert.deepEqual(kinds(GATED, [old, other, winner(3)]), ["fenced", "fenced", "committed"]);
    assert.deepEqual(kinds({ ...GATED, mode: "loading" }, [winner(1)]), ["fenced"]);
    assert.deepEqual(kinds(startClosing(GATED).state, [winner(1)]), ["ended"]);
  });

  it("are told what their own rows say, under whatever epoch", () => {
    const known: KnownAdmissions = {
      stateByOrder: new Map([
        ["1", "live"],
        ["2", "void"],
        ["3", "given_back"],
      ]),
      heldByUser: new Map([["71", "1"]]),
    };
    const commands = [1, 2, 3].map((id) => winner(id, { epoch: 1 }));
    assert.deepEqual(kinds(GATED, commands, known), ["committed", "void", "committed"]);
  });

  it("get one unit for one buyer, in the batch and with what he has", () => {
    const known: KnownAdmissions = { ...NOTHING, heldByUser: new Map([["8", "99"]]) };
    const commands = [
      winner(1, { userId: "8" }),
      winner(2, { userId: "9" }),
      winner(3, { userId: "9" }),
    ];
    const { outcomes, granted } = decideBatch(GATED, NOW, commands, known);
    assert.deepEqual(outcomes, [
      { kind: "refused", refusal: "already", heldOrderId: "99" },
      { kind: "committed" },
      { kind: "refused", refusal: "already", heldOrderId: "2" },
    ]);
    assert.equal(granted.length, 1);
  });

  it("are held to the database's clock where there is no gate", () => {
    const command = winner(1, { mode: "db", epoch: 1 });
    assert.deepEqual(kinds(OPEN, [command]), ["committed"]);
    assert.deepEqual(kinds({ ...OPEN, startsAt: LATER }, [command]), ["not_started"]);
    assert.deepEqual(kinds({ ...OPEN, endsAt: NOW }, [command]), ["ended"]);
  });
});
