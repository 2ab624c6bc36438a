// The spots between two effects of an admission and of a sale's life; a crash at any of them must be
// healed.

export const SECKILL_FAILPOINTS = {
  /** Buyers are through the gate; nothing is stored. */
  admitAfterGate: "seckill.admit.after_gate",
  /** Winners are committed; nobody has been told. */
  admitAfterCommit: "seckill.admit.after_commit",
  /** The sale is `publishing`; inventory has not been asked. */
  publishAfterStart: "seckill.publish.after_start",
  /** Inventory has handed the units over; the sale does not know. */
  publishAfterAllot: "seckill.publish.after_allot",
  /** The sale is `closing`; inventory has not booked the return. */
  closeAfterStart: "seckill.close.after_start",
  /** A unit is given back; the gate does not know. */
  giveBackAfterCommit: "seckill.give_back.after_commit",
  /** The epoch has moved on; nothing is in its gate. */
  loadAfterEpoch: "seckill.load.after_epoch",
  /** The gate of the new epoch answers; the sale does not use it. */
  loadAfterStock: "seckill.load.after_stock",
} as const;
