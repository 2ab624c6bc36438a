// What clients asked and heard, with the times between which it must have happened.

/**
 * `sold_out`: nothing was left. `already`: the buyer has `orderId`. `refused`: for another reason, and
 * without effect. `unknown`: it may have happened, and may still happen.
 */
export type Outcome = "done" | "sold_out" | "already" | "refused" | "unknown";

/** What the books say of an order. */
export type OrderState = "pending" | "paid" | "cancelled" | "refunded";

export interface Operation {
  readonly kind: "take" | "cancel" | "pay" | "refund";
  /** What units are taken from: a sale, or a SKU. */
  readonly object: string;
  readonly userId: string;
  orderId: string | undefined;
  /** Milliseconds on one clock. */
  readonly invokedAt: number;
  /** Infinity while nothing was heard. */
  returnedAt: number;
  outcome: Outcome;
  /** It was asked more than once: an earlier try may have taken a unit that was given back unheard. */
  isRepeated: boolean;
}

/** Something seen by somebody who looked. */
export type Observation =
  | {
      readonly kind: "order";
      readonly orderId: string;
      readonly state: OrderState;
      readonly from: number;
      readonly until: number;
    }
  | {
      readonly kind: "free";
      /** Units; `isLeast` when there may have been more. */
      readonly units: number;
      readonly isLeast: boolean;
      readonly from: number;
      readonly until: number;
    };

/** All that is known of one object. */
export interface History {
  /** Units that were free before anything happened. */
  readonly units: number;
  /** A buyer may hold one unit at a time. */
  readonly isOnePerUser: boolean;
  /** An order may be cancelled by the shop this long after its buyer asked for it. */
  readonly paymentWindowMs: number;
  readonly operations: readonly Operation[];
  readonly observations: readonly Observation[];
}
