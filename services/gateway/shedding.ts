// What a gateway that has too much to do still takes: callbacks of payment providers before payments, payments
// before orders, orders before browsing. A refusal costs microseconds and says when to come back; a request that
// would be answered after its caller has given up costs the same work as a good one.
//
// Two signs of too much: requests that are under way at once (the services behind are slower than the arrivals), and
// the lag of this process's own event loop. Each rank has its own measure of both; nobody is refused for the lag of
// one late turn.
import type { Metrics } from "../../mixins/metrics/metrics.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { LoadGuard } from "./fast-lane/load-guard.ts";
import type { PublicRoute } from "./route-table.ts";

/** The first are refused first. */
export type Rank = "browse" | "reserve" | "pay" | "callback";

interface Measure {
  /** Requests of all ranks under way, from which on this rank is refused. */
  readonly underWayMax: number;
  /** Lag of the event loop, as a multiple of what the guard calls too much, from which on it is refused. */
  readonly lagMax: number;
}

// More orders at once are not placed faster: at 256 the batches are full, and beyond it only the waiting grows.
const MEASURES: Readonly<Record<Rank, Measure>> = {
  browse: { underWayMax: 192, lagMax: 0.4 },
  reserve: { underWayMax: 256, lagMax: 0.5 },
  pay: { underWayMax: 768, lagMax: 2 },
  // Money that has moved is heard of as long as the process can hear at all.
  callback: { underWayMax: 8_192, lagMax: Number.POSITIVE_INFINITY },
};

const RANK_BY_ACTION: Readonly<Record<string, Rank>> = {
  "gateway.receiveCallback": "callback",
  "order.pay": "pay",
  "order.payByPayment": "pay",
  "payment.simulate": "pay",
  "payment.get": "pay",
  // Whoever looks at an order of his has units held for him, and a deadline to pay them by.
  "order.get": "pay",
  // Streams have limits of their own, and who is refused his asks for the sale again and again.
  "gateway.watchSale": "pay",
  // A buyer who was told to wait learns by it what he has got.
  "seckill.mine": "reserve",
};

/** One for all: what a new error keeps of its stack would be a quarter of what a refusal costs. */
const OVERLOADED = new PlatformError("OVERLOADED");

export interface Shedding {
  /** Whether anybody is refused at present. */
  isShort(): boolean;
  /** OVERLOADED, counted, when a request of this rank is not to be taken in now. */
  refusalOf(rank: Rank): PlatformError | undefined;
  /** Takes a request in or throws OVERLOADED. Answers what is to be called, once, when it has been answered. */
  enter(rank: Rank): () => void;
}

export function createShedding(
  load: Pick<LoadGuard, "lagShare">,
  metrics: Pick<Metrics, "increment">,
): Shedding {
  let underWay = 0;
  const takes = (rank: Rank): boolean => {
    const { underWayMax, lagMax } = MEASURES[rank];
    return underWay < underWayMax && load.lagShare() <= lagMax;
  };
  const refusalOf = (rank: Rank): PlatformError | undefined => {
    if (takes(rank)) return undefined;
    metrics.increment("app_shed_total", { rank });
    return OVERLOADED;
  };
  return {
    // Those who are refused first are refused as long as anybody is.
    isShort: () => !takes("browse"),
    refusalOf,
    enter(rank) {
      const refusal = refusalOf(rank);
      if (refusal !== undefined) throw refusal;
      underWay += 1;
      return () => {
        underWay -= 1;
      };
    },
  };
}

export function rankOf({ action, contract, rest }: PublicRoute): Rank {
  const named = RANK_BY_ACTION[action];
  if (named !== undefined) return named;
  // An operator must be able to act just then.
  if (contract.auth === "admin") return "pay";
  return rest.method === "GET" ? "browse" : "reserve";
}
