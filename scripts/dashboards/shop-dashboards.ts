// How the shop is doing: an overview, the flash sale, orders and payments.
import { lastHour, quantile, rate } from "./queries.ts";
import { type DashboardSpec, lines, number, quiet } from "./render.ts";

const TAKING_ORDERS = 'route=~"POST /orders|POST /seckill/sales/:id/orders"';
const TAKING_PAYMENTS = 'route=~"POST /payments|POST /orders/:id/pay|POST /payments/:id/callbacks"';

const orderTime = (share: number): string =>
  quantile(share, `app_http_request_duration_ms_bucket{${TAKING_ORDERS}}`, "route, le");

export const OVERVIEW: DashboardSpec = {
  name: "overview",
  title: "overview",
  description: "Is the shop well? Promises, traffic, what waits, what is broken.",
  panels: [
    {
      ...quiet(
        number("Orders that failed, 1 h", "percentunit", "slo:order_errors:ratio_rate1h", 0.001),
      ),
      hint: "Promise: at most 0.1 % server errors on the routes that take orders",
    },
    {
      ...quiet(
        number(
          "Orders slower than 500 ms, 1 h",
          "percentunit",
          "slo:order_slow:ratio_rate1h",
          0.01,
        ),
      ),
      hint: "Promise: 99 % of the orders are answered within 500 ms",
    },
    {
      ...quiet(
        number(
          "Payments that failed, 1 h",
          "percentunit",
          "slo:payment_errors:ratio_rate1h",
          0.001,
        ),
      ),
      hint: "Promise: at most 0.1 % server errors on the routes that take payments",
    },
    quiet(
      number("Broken invariants", "short", "sum(max by (invariant) (app_invariant_violations))", 1),
    ),
    number("Nodes up", "short", 'sum(up{job="platform"})'),
    number("Servers up", "short", "sum(max by (server) (app_server_up))"),
    quiet(number("Dead letters open", "short", "sum(max by (owner) (app_dead_letters_open))", 1)),
    quiet(number("Sagas overdue", "short", "sum(max by (type) (app_sagas_overdue))", 1)),
    quiet(
      number(
        "Events not yet published",
        "short",
        "sum(max by (owner) (app_outbox_backlog))",
        1_000,
      ),
    ),
    quiet(number("Circuits open", "short", "sum(app_circuit_breakers_open)", 1)),
    number("Worst event loop delay", "ms", "max(app_event_loop_delay_ms)", 200),
    number("Since the invariants were checked", "s", "min(app_audit_age_s)", 900),
    lines("Answers by status", "reqps", {
      expr: "sum by (status) (route:http_requests:rate5m)",
      legend: "{{status}}",
    }),
    lines("Busiest routes", "reqps", {
      expr: "topk(10, sum by (route) (route:http_requests:rate5m))",
      legend: "{{route}}",
    }),
    lines("Slowest routes, 99th percentile", "ms", {
      expr: "topk(10, route:http_request_duration_ms:p99_5m)",
      legend: "{{route}}",
    }),
    lines("Slowest routes, 95th percentile", "ms", {
      expr: "topk(10, route:http_request_duration_ms:p95_5m)",
      legend: "{{route}}",
    }),
    quiet(
      lines(
        "Refused by rate limits and overload",
        "reqps",
        { expr: rate("app_rate_limited_total", "rule"), legend: "limit: {{rule}}" },
        { expr: rate("app_shed_total", "rank"), legend: "overload: rank {{rank}}" },
      ),
    ),
    quiet(
      lines("Switches that are on", "short", {
        expr: "max by (switch) (app_switch_on)",
        legend: "{{switch}}",
      }),
    ),
    lines("Products read, by where they were found", "reqps", {
      expr: rate("app_product_reads_total", "source"),
      legend: "{{source}}",
    }),
    lines("Products found without the database", "percentunit", {
      expr: "product:cache_hits:ratio_rate5m",
      legend: "cache hits",
    }),
  ],
};

export const FLASH_SALE: DashboardSpec = {
  name: "flash-sale",
  title: "flash sale",
  description: "Buyers at the gate, winners in the database, units that come back.",
  panels: [
    number(
      "Buyers let in, last hour",
      "short",
      'sum(increase(app_seckill_answers_total{outcome="queued"}[1h]))',
    ),
    number("Buyers answered, last hour", "short", lastHour("app_seckill_answers_total")),
    number("Sales that are published", "short", "sum(max by (mode) (app_seckill_sales))"),
    number("Newest epoch of a gate", "short", "max(app_seckill_gate_epoch)"),
    quiet(
      number(
        "Winners without a unit, last hour",
        "short",
        lastHour("app_seckill_guard_refused_total"),
        1,
      ),
    ),
    quiet(number("Winners made void, last hour", "short", lastHour("app_seckill_voided_total"), 1)),
    quiet(number("Gates left, last hour", "short", lastHour("app_seckill_gate_left_total"), 1)),
    quiet(
      number("Gates found wrong, last hour", "short", lastHour("app_seckill_gate_healed_total"), 1),
    ),
    lines("Answers of the fast lane", "reqps", {
      expr: rate("app_seckill_answers_total", "outcome"),
      legend: "{{outcome}}",
    }),
    lines(
      "Buying, time to answer",
      "ms",
      ...[0.5, 0.95, 0.99].map((share) => ({
        expr: quantile(
          share,
          'app_http_request_duration_ms_bucket{route="POST /seckill/sales/:id/orders"}',
          "le",
        ),
        legend: `${String(share * 100)} %`,
      })),
    ),
    lines("Commits of winners", "ops", {
      expr: rate("app_admission_flush_total"),
      legend: "commits",
    }),
    lines("Winners in a commit", "short", {
      expr:
        'sum(rate(app_repo_flush_commands_total{queue="seckill.admit"}[5m])) ' +
        '/ sum(rate(app_repo_flush_success_total{queue="seckill.admit"}[5m]))',
      legend: "winners",
    }),
    lines("Sales by mode", "short", {
      expr: "max by (mode) (app_seckill_sales)",
      legend: "{{mode}}",
    }),
    lines("Loads of gates", "short", {
      expr: "sum by (result) (increase(app_seckill_gate_loads_total[5m]))",
      legend: "{{result}}",
    }),
    lines("Nobody was let in while a gate was loaded", "ms", {
      expr: quantile(0.99, "app_seckill_gate_pause_ms_bucket", "le"),
      legend: "99 %",
    }),
    lines("Scripts of the gate, 99th percentile", "ms", {
      expr: 'command:redis_duration_ms:p99_5m{command=~"seckill/.*"}',
      legend: "{{command}}",
    }),
  ],
};

export const ORDERS: DashboardSpec = {
  name: "orders",
  title: "orders and payments",
  description: "From the click to the paid order.",
  panels: [
    number("Orders placed, last hour", "short", lastHour("app_order_placed_total")),
    number("Orders paid, last hour", "short", lastHour("app_order_paid_total")),
    number("Orders cancelled, last hour", "short", lastHour("app_order_cancelled_total")),
    number("Orders shipped, last hour", "short", lastHour("app_shipping_success_total")),
    lines(
      "Orders",
      "ops",
      { expr: rate("app_order_placed_total"), legend: "placed" },
      { expr: rate("app_order_paid_total"), legend: "paid" },
      { expr: rate("app_order_cancelled_total", "reason"), legend: "cancelled: {{reason}}" },
      { expr: rate("app_shipping_success_total", "source"), legend: "shipped: {{source}}" },
    ),
    lines(
      "Stock",
      "ops",
      { expr: rate("app_stock_charge_success_total"), legend: "reserved" },
      { expr: rate("app_stock_charge_failed_total", "reason"), legend: "refused: {{reason}}" },
    ),
    lines(
      "Taking an order, time",
      "ms",
      { expr: orderTime(0.5), legend: "50 % {{route}}" },
      { expr: orderTime(0.95), legend: "95 % {{route}}" },
      { expr: orderTime(0.99), legend: "99 % {{route}}" },
    ),
    lines("Taking an order, answers", "reqps", {
      expr: `sum by (route, status) (route:http_requests:rate5m{${TAKING_ORDERS}})`,
      legend: "{{status}} {{route}}",
    }),
    lines("Taking a payment, answers", "reqps", {
      expr: `sum by (route, status) (route:http_requests:rate5m{${TAKING_PAYMENTS}})`,
      legend: "{{status}} {{route}}",
    }),
    lines("Payment callbacks", "ops", {
      expr: rate("app_payment_callback_total", "result"),
      legend: "{{result}}",
    }),
    lines("Group commits", "ops", {
      expr: rate("app_repo_flush_success_total", "queue"),
      legend: "{{queue}}",
    }),
    quiet(
      lines(
        "Group commits that wait or fail",
        "short",
        { expr: "sum by (queue) (app_queue_depth)", legend: "waiting: {{queue}}" },
        { expr: rate("app_repo_flush_failed_total", "queue"), legend: "failed / s: {{queue}}" },
      ),
    ),
  ],
};
