// Metrics that a shop shows after one order was placed, paid and cancelled or timed out: names and labels.
export const EXPECTED_COUNTERS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["app_order_placed_total", {}],
  ["app_order_paid_total", {}],
  ["app_order_cancelled_total", { reason: "cancelled_by_buyer" }],
  ["app_stock_charge_success_total", {}],
  ["app_stock_charge_failed_total", { reason: "INVENTORY_OUT_OF_STOCK" }],
  ["app_payment_callback_total", { result: "accepted" }],
  ["app_payment_callback_total", { result: "WEBHOOK_SIGNATURE_INVALID" }],
  ["app_rate_limited_total", { rule: "user" }],
  ["app_http_requests_total", { route: "POST /orders", status: "201" }],
  ["app_http_requests_total", { route: "none", status: "404" }],
  ["app_http_request_duration_ms_bucket", { route: "POST /orders", le: "+Inf" }],
  ["app_http_request_duration_ms_sum", { route: "POST /orders" }],
  ["app_http_request_duration_ms_count", { route: "POST /orders" }],
  ["app_product_reads_total", { source: "memory" }],
  ["app_consumer_events_total", { event: "order.paid.v1", result: "applied" }],
  ["app_statement_duration_ms_count", { statement: "outbox.append" }],
  ["moleculer_req_total", { action: "order.place" }],
  ["moleculer_req_errors_total", { errorType: "INVENTORY_OUT_OF_STOCK" }],
  ["moleculer_req_duration_ms_bucket", { action: "order.place", le: "+Inf" }],
  ["app_consumer_lag_ms", { consumer: "inventory", event: "order.paid.v1" }],
];

/** May rightly be zero. */
export const EXPECTED_GAUGES = [
  "app_outbox_backlog",
  "app_forwarder_lag_ms",
  "app_dead_letters_open",
  "app_invariant_violations",
  "app_event_loop_delay_ms",
] as const;
