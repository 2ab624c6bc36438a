// The spots between two effects of an order's life; a crash at any of them must be healed.

export const ORDER_FAILPOINTS = {
  /** Priced, nothing stored. */
  placeBeforeBegin: "order.place.before_begin",
  /** Order, saga and key are stored; no stock is held. */
  placeAfterBegin: "order.place.after_begin",
  /** Stock is held; the order does not know. */
  placeAfterReserve: "order.place.after_reserve",
  /** The order can be paid; the buyer has not been told. */
  placeAfterConfirm: "order.place.after_confirm",
  /** A lost placing was given up; its stock may still be held. */
  placeAfterAbandon: "order.place.after_abandon",
  /** Its stock is released; the saga does not know. */
  placeAfterRelease: "order.place.after_release",
  /** A payment is open; its key does not know. */
  payAfterCreate: "order.pay.after_create",
  /** Orders are `closing`; the payment service has not been asked. */
  closeAfterStart: "order.close.after_start",
  /** The payment service has answered; the orders do not know. */
  closeAfterPayments: "order.close.after_payments",
  /** Orders are paid or cancelled; inventory has not been told. */
  closeAfterEnd: "order.close.after_end",
} as const;
