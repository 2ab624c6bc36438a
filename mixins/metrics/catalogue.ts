// Every metric by name, with its labels, all of bounded value sets: never an id, never a URL.

export interface MetricRow {
  readonly type: "Counter" | "Gauge" | "Histogram";
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Upper bounds of the buckets of a histogram. */
  readonly buckets?: readonly number[];
}

/** Upper bounds of the buckets of all durations; what is longer is beyond the last. */
export const DURATION_BUCKETS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000,
] as const;

const counter = (help: string, ...labelNames: string[]): MetricRow => ({
  type: "Counter",
  help,
  labelNames,
});
const gauge = (help: string, ...labelNames: string[]): MetricRow => ({
  type: "Gauge",
  help,
  labelNames,
});
const durations = (help: string, ...labelNames: string[]): MetricRow => ({
  type: "Histogram",
  help,
  labelNames,
  buckets: DURATION_BUCKETS_MS,
});

export const METRICS = {
  moleculer_req_total: counter("Action calls", "action", "service", "nodeID"),
  moleculer_req_errors_total: counter(
    "Failed action calls",
    "action",
    "service",
    "nodeID",
    "errorCode",
    "errorName",
    "errorType",
  ),
  moleculer_req_duration_ms: durations("Time of action calls", "action", "service", "nodeID"),
  app_http_requests_total: counter("HTTP answers", "route", "status"),
  app_http_request_duration_ms: durations("Time to answer HTTP requests", "route"),
  app_switch_on: gauge("Switches that are on, by name, as this node knows", "switch"),
  app_rules_age_ms: gauge("Time since this node last read the operator's rules"),
  app_shed_total: counter("Requests refused because the gateway has too much to do", "rank"),
  app_release_requests_total: counter(
    "HTTP answers by the release they were meant for, while a grey release is on",
    "release",
    "status",
  ),
  app_release_request_duration_ms: durations(
    "Time to answer by the release a request was meant for, while a grey release is on",
    "release",
  ),
  app_rate_limited_total: counter("Requests refused by a rate limit", "rule"),
  app_order_placed_total: counter("Orders placed, stock reserved"),
  app_order_paid_total: counter("Orders paid"),
  app_order_cancelled_total: counter("Orders cancelled", "reason"),
  app_shipping_success_total: counter("Orders shipped", "source"),
  app_stock_charge_success_total: counter("Orders whose stock was reserved"),
  app_stock_charge_failed_total: counter("Orders whose stock was not reserved", "reason"),
  app_admission_flush_total: counter("Commits of winners of a flash sale"),
  app_repo_flush_success_total: counter("Group commits that succeeded", "queue"),
  app_repo_flush_failed_total: counter("Group commits that failed", "queue"),
  app_repo_flush_commands_total: counter("Commands of group commits that succeeded", "queue"),
  app_queue_depth: gauge("Commands that wait for the next group commit", "queue"),
  app_seckill_sales: gauge("Flash sales that are published", "mode"),
  app_seckill_gate_epoch: gauge("Newest epoch of a published sale's gate"),
  app_seckill_guard_refused_total: counter("Winners of a gate for whom a sale had no unit"),
  app_seckill_gate_loads_total: counter("Loads of a sale's gate", "result"),
  app_seckill_gate_pause_ms: durations(
    "Time in which a sale let nobody in while its gate was loaded",
  ),
  app_seckill_gate_healed_total: counter("Gates whose stock was not that of their sale"),
  app_seckill_voided_total: counter("Winners of a gate whose node died before their commit"),
  app_seckill_gate_left_total: counter("Sales that went on without their gate"),
  app_seckill_answers_total: counter("Answers of the fast lane to buyers", "outcome"),
  app_payment_callback_total: counter("Payment callbacks", "result"),
  app_product_reads_total: counter("Products read, by where they were found", "source"),
  app_statement_duration_ms: durations("Time of SQL statements", "statement"),
  app_statement_errors_total: counter("Failed SQL statements", "statement"),
  app_redis_command_duration_ms: durations("Time of Redis commands and scripts", "command"),
  app_redis_command_errors_total: counter("Failed Redis commands and scripts", "command"),
  app_database_connections: gauge("Connections of a pool", "schema", "state"),
  app_database_connections_max: gauge("Connections a pool may open", "schema"),
  app_database_waiting: gauge("Callers that wait for a connection of a pool", "schema"),
  app_outbox_backlog: gauge("Outbox rows not yet published", "owner"),
  app_back_pressure: gauge("1 while new work is refused because events wait", "owner"),
  app_back_pressure_refused_total: counter("Requests refused because events wait", "owner"),
  app_forwarder_lag_ms: gauge("Age of the oldest unpublished outbox row", "owner"),
  app_consumer_events_total: counter("Events consumed", "consumer", "event", "result"),
  app_consumer_lag_ms: gauge("Age of the last event applied", "consumer", "event"),
  app_consumer_retries_total: counter("Events given back to be tried again", "consumer", "event"),
  app_consumer_redeliveries_total: counter("Events delivered more than once", "consumer", "event"),
  app_consumer_backlog: gauge("Events a consumer has not been given yet", "consumer", "event"),
  app_consumer_unacknowledged: gauge(
    "Events a consumer has and has not settled",
    "consumer",
    "event",
  ),
  app_sagas_open: gauge("Sagas that have not come to an end", "type"),
  app_sagas_overdue: gauge("Open sagas whose turn was a minute ago and more", "type"),
  app_dead_letters_open: gauge("Dead letters that wait for somebody", "owner"),
  app_invariant_violations: gauge("Rows that break an invariant", "invariant"),
  app_audit_age_s: gauge("Time since all of them were last checked", "of"),
  app_server_up: gauge("Whether a server answers the auditor", "server"),
  app_mysql_connections: gauge("Connections the MySQL server has"),
  app_mysql_connections_max: gauge("Connections the MySQL server allows"),
  app_mysql_threads_running: gauge("Connections of the MySQL server that work"),
  app_mysql_statements_total: counter("Statements the MySQL server has run"),
  app_mysql_row_lock_waits_total: counter("Times a statement waited for a row's lock"),
  app_redis_clients: gauge("Connections the Redis server has"),
  app_redis_memory_bytes: gauge("Memory the Redis server uses for data"),
  app_redis_commands_total: counter("Commands the Redis server has run"),
  app_redis_evicted_keys_total: counter("Keys the Redis server threw away for want of memory"),
  app_stream_messages: gauge("Messages in a stream", "owner"),
  app_stream_bytes: gauge("Bytes of a stream", "owner"),
  app_stream_bytes_max: gauge("Bytes at which a stream refuses messages", "owner"),
  app_circuit_breakers_open: gauge("Actions of other nodes that this node does not call for now"),
  app_circuit_breaker_opened_total: counter("Circuits this node has opened", "action"),
  app_event_loop_delay_ms: gauge(
    "99th percentile of how late the event loop's turns were since the last reading",
  ),
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;
export type Labels = Readonly<Record<string, string | number>>;
