// What clients asked and heard, with the times between which it must have happened.

/** `refused`: for another reason than that nothing is left. `unknown`: it may have happened. */
export type Outcome = "done" | "sold_out" | "already" | "refused" | "unknown";

export interface Operation {
  /** `take` a unit, `pay` for it, `cancel`: give it up; `return`: it can be had again. */
  readonly kind: "take" | "pay" | "cancel" | "return";
  readonly userId: string;
  orderId: string | undefined;
  /** Milliseconds on one clock. */
  readonly invokedAt: number;
  /** Infinity while nothing was heard. */
  returnedAt: number;
  outcome: Outcome;
}
