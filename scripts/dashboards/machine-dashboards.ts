// How what runs the shop is doing: messages, nodes, servers.
import { rate } from "./queries.ts";
import { type DashboardSpec, lines, number, quiet } from "./render.ts";

export const MESSAGES: DashboardSpec = {
  name: "messages",
  title: "messages and dead letters",
  description: "Durable events from outbox to consumer, and the sagas between them.",
  panels: [
    quiet(
      number(
        "Events not yet published",
        "short",
        "sum(max by (owner) (app_outbox_backlog))",
        1_000,
      ),
    ),
    quiet(number("Oldest event not published", "ms", "max(app_forwarder_lag_ms)", 30_000)),
    quiet(number("Dead letters open", "short", "sum(max by (owner) (app_dead_letters_open))", 1)),
    quiet(number("Sagas overdue", "short", "sum(max by (type) (app_sagas_overdue))", 1)),
    lines("Events consumed", "ops", {
      expr: rate("app_consumer_events_total", "consumer, event, result"),
      legend: "{{consumer}} {{event}} {{result}}",
    }),
    lines("Age of the last event applied", "ms", {
      expr: "max by (consumer, event) (app_consumer_lag_ms)",
      legend: "{{consumer}} {{event}}",
    }),
    quiet(
      lines("Events not yet published, by owner", "short", {
        expr: "max by (owner) (app_outbox_backlog)",
        legend: "{{owner}}",
      }),
    ),
    quiet(
      lines("Age of the oldest event not published", "ms", {
        expr: "max by (owner) (app_forwarder_lag_ms)",
        legend: "{{owner}}",
      }),
    ),
    quiet(
      lines("Events waiting for a consumer", "short", {
        expr: "max by (consumer, event) (app_consumer_backlog)",
        legend: "{{consumer}} {{event}}",
      }),
    ),
    quiet(
      lines("Events a consumer has not settled", "short", {
        expr: "max by (consumer, event) (app_consumer_unacknowledged)",
        legend: "{{consumer}} {{event}}",
      }),
    ),
    quiet(
      lines(
        "Tried again, delivered again",
        "ops",
        {
          expr: rate("app_consumer_retries_total", "consumer, event"),
          legend: "tried again: {{consumer}} {{event}}",
        },
        {
          expr: rate("app_consumer_redeliveries_total", "consumer, event"),
          legend: "delivered again: {{consumer}} {{event}}",
        },
      ),
    ),
    quiet(
      lines("Dead letters open, by owner", "short", {
        expr: "max by (owner) (app_dead_letters_open)",
        legend: "{{owner}}",
      }),
    ),
    quiet(
      lines(
        "Sagas",
        "short",
        { expr: "max by (type) (app_sagas_open)", legend: "open: {{type}}" },
        { expr: "max by (type) (app_sagas_overdue)", legend: "overdue: {{type}}" },
      ),
    ),
    quiet(
      lines(
        "Back-pressure",
        "short",
        { expr: "max(app_back_pressure)", legend: "buying and placing are refused" },
        { expr: "sum(rate(app_back_pressure_refused_total[5m]))", legend: "refused / s" },
      ),
    ),
    quiet(
      lines("Streams, share that is full", "percentunit", {
        expr: "max by (owner) (app_stream_bytes) / max by (owner) (app_stream_bytes_max)",
        legend: "{{owner}}",
      }),
    ),
  ],
};

export const NODES: DashboardSpec = {
  name: "nodes",
  title: "nodes",
  description: "The processes of the platform and the calls between them.",
  panels: [
    lines("Nodes up", "short", { expr: 'up{job="platform"}', legend: "{{role}} {{instance}}" }),
    lines("CPU cores in use", "short", {
      expr: 'rate(process_cpu_seconds_total{job="platform"}[5m])',
      legend: "{{role}} {{instance}}",
    }),
    lines("Memory", "bytes", {
      expr: 'process_resident_memory_bytes{job="platform"}',
      legend: "{{role}} {{instance}}",
    }),
    lines("Event loop delay, 99th percentile", "ms", {
      expr: "app_event_loop_delay_ms",
      legend: "{{role}} {{instance}}",
    }),
    lines("Busiest actions", "reqps", {
      expr: "topk(10, action:requests:rate5m)",
      legend: "{{action}}",
    }),
    lines("Slowest actions, 99th percentile", "ms", {
      expr: "topk(10, action:request_duration_ms:p99_5m)",
      legend: "{{action}}",
    }),
    quiet(
      lines("Failed actions", "reqps", {
        expr: "topk(10, sum by (action, errorType) (rate(moleculer_req_errors_total[5m])))",
        legend: "{{action}} {{errorType}}",
      }),
    ),
    quiet(
      lines(
        "Circuits",
        "short",
        { expr: "app_circuit_breakers_open", legend: "open on {{role}} {{instance}}" },
        {
          expr: "sum by (action) (increase(app_circuit_breaker_opened_total[5m]))",
          legend: "opened: {{action}}",
        },
      ),
    ),
    lines("Requests in each role", "reqps", {
      expr: "sum by (role) (rate(moleculer_req_total[5m]))",
      legend: "{{role}}",
    }),
    quiet(
      lines(
        "Releases side by side",
        "short",
        {
          expr: "sum by (release, status) (rate(app_release_requests_total[5m]))",
          legend: "{{release}} {{status}} a second",
        },
        {
          expr: "histogram_quantile(0.95, sum by (release, le) (rate(app_release_request_duration_ms_bucket[5m])))",
          legend: "{{release}} p95 ms",
        },
      ),
    ),
    lines("Since a node has read the switches", "ms", {
      expr: "app_rules_age_ms",
      legend: "{{role}} {{instance}}",
    }),
  ],
};

export const SERVERS: DashboardSpec = {
  name: "servers",
  title: "MySQL, Redis, NATS",
  description: "The servers behind the shop, as they tell it themselves and as the nodes see them.",
  panels: [
    lines("Servers that answer", "short", {
      expr: "max by (server) (app_server_up)",
      legend: "{{server}}",
    }),
    lines(
      "MySQL: connections",
      "short",
      { expr: "max(app_mysql_connections)", legend: "open" },
      { expr: "max(app_mysql_threads_running)", legend: "at work" },
      { expr: "max(app_mysql_connections_max)", legend: "allowed" },
    ),
    lines("MySQL: statements", "ops", {
      expr: "max(rate(app_mysql_statements_total[5m]))",
      legend: "statements",
    }),
    quiet(
      lines("MySQL: waits for a row's lock", "ops", {
        expr: "max(rate(app_mysql_row_lock_waits_total[5m]))",
        legend: "waits",
      }),
    ),
    lines("Busiest statements", "ops", {
      expr: "topk(10, sum by (statement) (rate(app_statement_duration_ms_count[5m])))",
      legend: "{{statement}}",
    }),
    lines("Slowest statements, 99th percentile", "ms", {
      expr: "topk(10, statement:duration_ms:p99_5m)",
      legend: "{{statement}}",
    }),
    quiet(
      lines("Statements that failed", "ops", {
        expr: rate("app_statement_errors_total", "statement"),
        legend: "{{statement}}",
      }),
    ),
    lines(
      "Database pools",
      "short",
      { expr: "sum by (schema) (app_database_connections)", legend: "open: {{schema}}" },
      { expr: "sum by (schema) (app_database_connections_max)", legend: "allowed: {{schema}}" },
    ),
    quiet(
      lines("Waiting for a connection of a pool", "short", {
        expr: "sum by (schema) (app_database_waiting)",
        legend: "{{schema}}",
      }),
    ),
    lines("Redis: memory", "bytes", { expr: "max(app_redis_memory_bytes)", legend: "data" }),
    lines(
      "Redis: commands",
      "ops",
      { expr: "max(rate(app_redis_commands_total[5m]))", legend: "all" },
      {
        expr: "topk(10, sum by (command) (rate(app_redis_command_duration_ms_count[5m])))",
        legend: "{{command}}",
      },
    ),
    lines("Redis: slowest commands and scripts, 99th percentile", "ms", {
      expr: "topk(10, command:redis_duration_ms:p99_5m)",
      legend: "{{command}}",
    }),
    quiet(
      lines(
        "Redis: commands that failed, keys thrown away",
        "ops",
        { expr: rate("app_redis_command_errors_total", "command"), legend: "failed: {{command}}" },
        { expr: "max(rate(app_redis_evicted_keys_total[5m]))", legend: "thrown away" },
      ),
    ),
    lines("Redis: connections", "short", { expr: "max(app_redis_clients)", legend: "open" }),
    quiet(
      lines("NATS: messages in the streams", "short", {
        expr: "max by (owner) (app_stream_messages)",
        legend: "{{owner}}",
      }),
    ),
    lines("NATS: room of the streams", "bytes", {
      expr: "max by (owner) (app_stream_bytes_max)",
      legend: "{{owner}}",
    }),
  ],
};
