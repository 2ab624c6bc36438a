// The shop as a sequential machine: units that are free, and orders that hold one each. Whoever gives an
// order up, or is not paid in time, gives its unit back some time later.
import type { History, Observation, Operation, OrderState } from "./operation.ts";
import type { Step } from "./linearize.ts";

/** "returned", "restocked": its unit is free again. */
type HeldState = OrderState | "returned" | "restocked";

interface Held {
  readonly holder: string;
  readonly state: HeldState;
}

export interface ShopState {
  readonly free: number;
  readonly orders: ReadonlyMap<string, Held>;
  /** Units taken by tries of which nobody has heard, by operation. */
  readonly ghosts: ReadonlyMap<number, string>;
}

type ShopStep = Step<ShopState>;

/** The buyer may take no other unit; he who gives his one up may be told either thing. */
const HOLDING: ReadonlySet<HeldState> = new Set(["pending", "paid", "cancelled", "refunded"]);
const KEEPING: ReadonlySet<HeldState> = new Set(["pending", "paid"]);
const SEEN_AS: Readonly<Record<HeldState, OrderState>> = {
  pending: "pending",
  paid: "paid",
  cancelled: "cancelled",
  returned: "cancelled",
  refunded: "refunded",
  restocked: "refunded",
};

export function initialShop(units: number): ShopState {
  return { free: units, orders: new Map(), ghosts: new Map() };
}

export function keyOfShop({ free, orders, ghosts }: ShopState): string {
  const held = [...orders].map(([id, { state }]) => `${id}${state}`).sort();
  return `${free} ${held.join()} ${[...ghosts.keys()].sort().join()}`;
}

/**
 * The steps that explain a history.
 * @param staleMs a sold-out answer may be this much older than its question.
 */
export function stepsOf(history: History, staleMs: number): readonly ShopStep[] {
  const orders = new Map<string, number>();
  for (const { kind, orderId, invokedAt } of history.operations) {
    if (kind !== "take" || orderId === undefined) continue;
    orders.set(orderId, Math.min(invokedAt, orders.get(orderId) ?? invokedAt));
  }
  return [
    ...history.operations.flatMap((one, index) => stepsOfOperation(history, staleMs, one, index)),
    ...[...orders].flatMap(([orderId, since]) => stepsOfShop(history, orderId, since)),
    ...history.observations.map(stepOfObservation),
  ];
}

function stepsOfOperation(
  history: History,
  staleMs: number,
  one: Operation,
  index: number,
): readonly ShopStep[] {
  if (one.kind === "take") return [...takeOf(history, staleMs, one), ...ghostOf(one, index)];
  if (one.outcome === "refused" || one.orderId === undefined) return [];
  const { orderId } = one;
  const isRequired = one.outcome === "done";
  const until = isRequired ? one.returnedAt : Number.POSITIVE_INFINITY;
  const shared = { name: nameOf(one), from: one.invokedAt, until, isRequired };
  switch (one.kind) {
    case "cancel":
      return [{ ...shared, apply: moving(orderId, ["pending"], "cancelled", ["returned"]) }];
    case "pay":
      return [{ ...shared, apply: moving(orderId, ["pending"], "paid", []) }];
    case "refund":
      return [{ ...shared, apply: moving(orderId, ["paid"], "refunded", ["restocked"]) }];
  }
}

function takeOf(history: History, staleMs: number, one: Operation): readonly ShopStep[] {
  const { orderId, userId, invokedAt } = one;
  const shared = { name: nameOf(one), until: one.returnedAt, isRequired: true };
  const holds = (state: ShopState, states: ReadonlySet<HeldState>): boolean =>
    history.isOnePerUser && isHolder(state, userId, states);
  if (one.outcome === "sold_out") {
    const apply = (state: ShopState): ShopState | undefined =>
      state.free === 0 && !holds(state, KEEPING) ? state : undefined;
    return [{ ...shared, from: invokedAt - staleMs, apply }];
  }
  if (orderId === undefined) return [];
  if (one.outcome === "already") {
    return [{ ...shared, from: invokedAt, apply: (state) => known(state, orderId, userId) }];
  }
  if (one.outcome !== "done") return [];
  const apply = (state: ShopState): ShopState | undefined => {
    const held = state.orders.get(orderId);
    if (held !== undefined) return held.holder === userId ? state : undefined;
    if (state.free === 0 || holds(state, HOLDING)) return undefined;
    const orders = new Map(state.orders).set(orderId, { holder: userId, state: "pending" });
    return { ...state, free: state.free - 1, orders };
  };
  return [{ ...shared, from: invokedAt, apply }];
}

function isHolder({ orders }: ShopState, userId: string, states: ReadonlySet<HeldState>): boolean {
  for (const { holder, state } of orders.values()) {
    if (holder === userId && states.has(state)) return true;
  }
  return false;
}

/** He is told which order he has: one we know of, or one whose taking nobody has heard of. */
function known(state: ShopState, orderId: string, userId: string): ShopState | undefined {
  const held = state.orders.get(orderId);
  if (held !== undefined) {
    return held.holder === userId && HOLDING.has(held.state) ? state : undefined;
  }
  const ghost = [...state.ghosts].find(([, holder]) => holder === userId);
  if (ghost === undefined) return undefined;
  const ghosts = new Map(state.ghosts);
  ghosts.delete(ghost[0]);
  const orders = new Map(state.orders).set(orderId, { holder: userId, state: "pending" });
  return { ...state, orders, ghosts };
}

/** A try without an answer may take a unit, and the shop may give it back. */
function ghostOf(one: Operation, index: number): readonly ShopStep[] {
  if (one.outcome !== "unknown" && !one.isRepeated) return [];
  const { userId, invokedAt } = one;
  const shared = { from: invokedAt, until: Number.POSITIVE_INFINITY, isRequired: false };
  const take = (state: ShopState): ShopState | undefined => {
    if (state.free === 0) return undefined;
    const ghosts = new Map(state.ghosts).set(index, userId);
    return { ...state, free: state.free - 1, ghosts };
  };
  const giveBack = (state: ShopState): ShopState | undefined => {
    if (!state.ghosts.has(index)) return undefined;
    const ghosts = new Map(state.ghosts);
    ghosts.delete(index);
    return { ...state, free: state.free + 1, ghosts };
  };
  return [
    { ...shared, name: `unheard take of ${userId}`, apply: take },
    { ...shared, name: `unheard give-back of ${userId}`, apply: giveBack },
  ];
}

/** What the shop does by itself with an order. */
function stepsOfShop(history: History, orderId: string, since: number): readonly ShopStep[] {
  const shared = { until: Number.POSITIVE_INFINITY, isRequired: false };
  const back = (from: HeldState, to: HeldState) => (state: ShopState) => {
    const moved = moving(orderId, [from], to, [])(state);
    return moved === undefined || moved === state ? undefined : { ...moved, free: state.free + 1 };
  };
  return [
    {
      ...shared,
      name: `${orderId} expires`,
      from: since + history.paymentWindowMs,
      apply: moving(orderId, ["pending"], "cancelled", []),
    },
    { ...shared, name: `${orderId} returns`, from: since, apply: back("cancelled", "returned") },
    {
      ...shared,
      name: `${orderId} is restocked`,
      from: since,
      apply: back("refunded", "restocked"),
    },
  ];
}

function moving(
  orderId: string,
  from: readonly HeldState[],
  to: HeldState,
  beyond: readonly HeldState[],
): ShopStep["apply"] {
  return (state) => {
    const held = state.orders.get(orderId);
    if (held === undefined) return undefined;
    if (held.state === to || beyond.includes(held.state)) return state;
    if (!from.includes(held.state)) return undefined;
    return { ...state, orders: new Map(state.orders).set(orderId, { ...held, state: to }) };
  };
}

function stepOfObservation(one: Observation): ShopStep {
  const shared = { from: one.from, until: one.until, isRequired: true };
  if (one.kind === "order") {
    const { orderId, state: seen } = one;
    const apply = (state: ShopState): ShopState | undefined => {
      const held = state.orders.get(orderId);
      return held !== undefined && SEEN_AS[held.state] === seen ? state : undefined;
    };
    return { ...shared, name: `${orderId} is ${seen}`, apply };
  }
  const { units, isLeast } = one;
  const isRight = (free: number): boolean => (isLeast ? free >= units : free === units);
  const apply = (state: ShopState): ShopState | undefined =>
    isRight(state.free) ? state : undefined;
  return { ...shared, name: `${units} free`, apply };
}

function nameOf({ kind, userId, orderId, outcome, invokedAt, returnedAt }: Operation): string {
  const times = `${invokedAt.toFixed(1)}-${returnedAt.toFixed(1)}`;
  return `${kind} of ${userId} ${outcome} ${orderId ?? ""} [${times}]`;
}
