import assert from "node:assert/strict";
import { faultOf, STALE_SOLD_OUT_MAX_MS } from "../support/history/check.ts";
import { linearize } from "../support/history/linearize.ts";
import type { History, Observation, Operation } from "../support/history/operation.ts";

type Heard = Partial<Operation> & Pick<Operation, "kind" | "outcome">;

/** Between `from` and `until`, of user 1 unless told otherwise. */
function heard(from: number, until: number, changes: Heard): Operation {
  return {
    ...{ object: "70", userId: "1", orderId: undefined, isRepeated: false },
    ...{ invokedAt: from, returnedAt: until },
    ...changes,
  };
}

const took = (
  from: number,
  until: number,
  userId: string,
  orderId = `order ${userId}`,
): Operation => heard(from, until, { kind: "take", outcome: "done", userId, orderId });
const soldOut = (from: number, until: number, userId: string): Operation =>
  heard(from, until, { kind: "take", outcome: "sold_out", userId });
const unheard = (from: number, userId: string): Operation =>
  heard(from, Number.POSITIVE_INFINITY, { kind: "take", outcome: "unknown", userId });
const already = (from: number, until: number, userId: string, orderId: string): Operation =>
  heard(from, until, { kind: "take", outcome: "already", userId, orderId });
const ended = (
  kind: "cancel" | "pay" | "refund",
  [from, until]: readonly [number, number],
  userId: string,
): Operation => heard(from, until, { kind, outcome: "done", userId, orderId: `order ${userId}` });
const free = (at: number, units: number, isLeast = false): Observation => ({
  ...{ kind: "free", units, isLeast, from: at, until: at },
});
const seen = (
  at: number,
  userId: string,
  state: "pending" | "paid" | "cancelled",
): Observation => ({
  ...{ kind: "order", orderId: `order ${userId}`, state, from: at, until: at },
});

interface Told {
  readonly operations: readonly Operation[];
  readonly observations?: readonly Observation[];
  readonly units?: number;
  readonly isOnePerUser?: boolean;
}

function judged(told: Told): string | undefined {
  const history: History = {
    ...{ units: 1, isOnePerUser: true, paymentWindowMs: 60_000, observations: [] },
    ...told,
  };
  return faultOf(history);
}

const LATE = STALE_SOLD_OUT_MAX_MS + 100;

describe("the checker of histories", () => {
  const right: readonly (readonly [string, Told])[] = [
    ["one of two at once", { operations: [took(0, 9, "1"), soldOut(0, 5, "2")] }],
    ["sold out after the last unit", { operations: [took(0, 1, "1"), soldOut(2, 3, "2")] }],
    [
      "a unit that somebody else had given up",
      { operations: [took(0, 1, "1"), ended("cancel", [2, 3], "1"), took(5_000, 5_001, "2")] },
    ],
    [
      "sold out a moment after a unit came back",
      {
        operations: [
          ...[took(0, 1, "1"), ended("cancel", [2, 3], "1")],
          soldOut(STALE_SOLD_OUT_MAX_MS, STALE_SOLD_OUT_MAX_MS + 5, "2"),
        ],
        observations: [free(10, 1, true)],
      },
    ],
    [
      "sold out for him who has just given his unit up",
      { operations: [took(0, 1, "1"), ended("cancel", [2, 3], "1"), soldOut(4, 5, "1")] },
    ],
    [
      "sold out for a take that nobody heard of",
      { operations: [unheard(0, "1"), soldOut(2, 3, "2")] },
    ],
    ["a take that never happened", { operations: [unheard(0, "1"), took(2, 3, "2")] }],
    [
      "a take nobody heard of whose unit came back",
      { operations: [unheard(0, "1"), soldOut(2, 3, "2"), took(9_000, 9_001, "3")] },
    ],
    [
      "an order that was learnt of later",
      { operations: [unheard(0, "1"), already(5, 6, "1", "order 1"), soldOut(7, 8, "2")] },
    ],
    [
      "a try that took a unit and gave it back before it was refused",
      {
        operations: [
          heard(0, 50, { kind: "take", outcome: "sold_out", userId: "1", isRepeated: true }),
          soldOut(10, 12, "2"),
          took(20, 21, "3"),
        ],
      },
    ],
    [
      "an order that was not paid in time",
      {
        operations: [took(0, 1, "1"), took(70_000, 70_001, "2")],
        observations: [seen(80_000, "1", "cancelled"), seen(80_000, "2", "pending")],
      },
    ],
    [
      "the money of an order that was being cancelled",
      {
        operations: [
          ...[took(0, 1, "1"), ended("cancel", [2, 9], "1")],
          heard(3, Number.POSITIVE_INFINITY, {
            kind: "pay",
            outcome: "unknown",
            orderId: "order 1",
          }),
        ],
        observations: [seen(20, "1", "cancelled"), free(20, 1)],
      },
    ],
    [
      "two orders of a buyer where that is allowed",
      { operations: [took(0, 1, "1"), took(2, 3, "1", "order b")], units: 2, isOnePerUser: false },
    ],
  ];
  for (const [title, told] of right) {
    it(`explains ${title}`, () => assert.equal(judged(told), undefined));
  }

  const wrong: readonly (readonly [string, Told, RegExp])[] = [
    ["a unit sold twice", { operations: [took(0, 1, "1"), took(0, 1, "2")] }, /no order explains/],
    ["sold out before anybody asked", { operations: [soldOut(0, 1, "1")] }, /sold out though/],
    [
      "sold out when the only taker came later",
      { operations: [soldOut(0, 1, "1"), took(2, 3, "2")] },
      /sold out though/,
    ],
    [
      "sold out long after a unit came back",
      {
        operations: [
          ...[took(0, 1, "1"), ended("cancel", [2, 3], "1")],
          soldOut(10 + LATE, 20 + LATE, "2"),
        ],
        observations: [free(10, 1, true)],
      },
      /sold out though/,
    ],
    [
      "a holder who is told that nothing is left",
      { operations: [took(0, 1, "1"), soldOut(LATE + 2, LATE + 3, "1")] },
      /sold out though/,
    ],
    [
      "two orders of a buyer who may have one",
      { operations: [took(0, 1, "1"), took(2, 3, "1", "order b")], units: 2 },
      /no order explains/,
    ],
    [
      "a buyer told of somebody else's order",
      { operations: [took(0, 1, "1"), already(2, 3, "2", "order 1")], units: 2 },
      /no order explains/,
    ],
    [
      "an order both paid and cancelled",
      { operations: [took(0, 1, "1"), ended("pay", [2, 3], "1"), ended("cancel", [4, 5], "1")] },
      /no order explains/,
    ],
    [
      "an order cancelled that was seen paid",
      {
        operations: [took(0, 1, "1"), ended("pay", [2, 3], "1")],
        observations: [seen(90_000, "1", "cancelled")],
      },
      /no order explains/,
    ],
    [
      "an order cancelled before its time",
      { operations: [took(0, 1, "1")], observations: [seen(50_000, "1", "cancelled")] },
      /no order explains/,
    ],
    [
      "a cancelled order whose unit never came back",
      {
        operations: [took(0, 1, "1"), ended("cancel", [2, 3], "1")],
        observations: [free(4, 2)],
      },
      /no order explains/,
    ],
    [
      "a unit of a paid order that came back",
      {
        operations: [took(0, 1, "1"), ended("pay", [2, 3], "1"), took(90_000, 90_001, "2")],
      },
      /no order explains/,
    ],
    [
      "an acknowledged take that the books do not have",
      { operations: [took(0, 1, "1")], observations: [free(2, 1)] },
      /no order explains/,
    ],
  ];
  for (const [title, told, expected] of wrong) {
    it(`refuses ${title}`, () => assert.match(judged(told) ?? "", expected));
  }

  it("judges a crowd at once", () => {
    const crowd = (buyers: number): readonly Operation[] =>
      Array.from({ length: buyers }, (_, index) =>
        index % 10 === 0
          ? took(0, 20 + index, String(index))
          : soldOut(0, 400 + index, String(index)),
      );
    assert.equal(judged({ operations: crowd(300), units: 30 }), undefined);
    assert.match(judged({ operations: crowd(80), units: 9 }) ?? "", /sold out though/);
  });

  it("does not judge what has too many orders", () => {
    const steps = Array.from({ length: 40 }, (_, index) => ({
      ...{ name: String(index), from: 0, until: 1, isRequired: true },
      apply: (sum: number) => sum + 2 ** index,
    }));
    const never = { name: "never", from: 0, until: 1, isRequired: true, apply: () => undefined };
    assert.equal(linearize([...steps, never], 0, String).kind, "undecided");
  });
});
