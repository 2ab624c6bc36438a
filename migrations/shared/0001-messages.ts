// Tables of durable messages, idempotency and leases. Every schema that owns events has them.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

export const up: readonly string[] = [
  // payload is MEDIUMTEXT, not JSON: MariaDB checks JSON on every write, and what is stored here
  // has been checked against the event catalogue. The key serves the relay's claim in id order
  // (published_at IS NULL) and the purge.
  `CREATE TABLE IF NOT EXISTS outbox (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    name VARCHAR(64) ${ASCII} NOT NULL,
    aggregate_id BIGINT UNSIGNED NOT NULL,
    aggregate_version INT UNSIGNED NOT NULL,
    payload MEDIUMTEXT NOT NULL,
    traceparent VARCHAR(64) ${ASCII} NULL,
    request_id VARCHAR(64) ${ASCII} NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    claimed_until DATETIME(3) NULL,
    published_at DATETIME(3) NULL,
    publish_count INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (id),
    KEY outbox_unpublished (published_at, id)
  ) ${TABLE}`,

  `CREATE TABLE IF NOT EXISTS inbox (
    consumer VARCHAR(100) ${ASCII} NOT NULL,
    event_id VARCHAR(64) ${ASCII} NOT NULL,
    received_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (consumer, event_id),
    KEY inbox_received (received_at)
  ) ${TABLE}`,

  `CREATE TABLE IF NOT EXISTS dead_letters (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    consumer VARCHAR(100) ${ASCII} NOT NULL,
    event_id VARCHAR(64) ${ASCII} NOT NULL,
    event_name VARCHAR(64) ${ASCII} NOT NULL,
    payload MEDIUMTEXT NOT NULL,
    headers TEXT NOT NULL,
    error TEXT NOT NULL,
    tries INT UNSIGNED NOT NULL,
    status VARCHAR(12) ${ASCII} NOT NULL DEFAULT 'open',
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    resolved_at DATETIME(3) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY dead_letters_once (consumer, event_id),
    KEY dead_letters_status (status, id),
    CONSTRAINT dead_letters_status_known CHECK (status IN ('open', 'replayed', 'discarded'))
  ) ${TABLE}`,

  // reference: what the key made (an order id, a saga id); answer: JSON, set when state is done.
  `CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id BIGINT UNSIGNED NOT NULL,
    route VARCHAR(100) ${ASCII} NOT NULL,
    idempotency_key VARCHAR(255) ${ASCII} NOT NULL,
    fingerprint CHAR(64) ${ASCII} NOT NULL,
    state VARCHAR(8) ${ASCII} NOT NULL,
    reference VARCHAR(64) ${ASCII} NULL,
    answer MEDIUMTEXT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    expires_at DATETIME(3) NOT NULL,
    PRIMARY KEY (user_id, route, idempotency_key),
    KEY idempotency_keys_expiry (expires_at),
    CONSTRAINT idempotency_keys_state_known CHECK (state IN ('running', 'done')),
    CONSTRAINT idempotency_keys_answered CHECK ((state = 'done') = (answer IS NOT NULL))
  ) ${TABLE}`,

  // fence grows by one with each change of owner and never falls.
  `CREATE TABLE IF NOT EXISTS leases (
    name VARCHAR(100) ${ASCII} NOT NULL,
    owner VARCHAR(150) ${ASCII} NOT NULL,
    lease_until DATETIME(3) NOT NULL,
    fence BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (name)
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS leases",
  "DROP TABLE IF EXISTS idempotency_keys",
  "DROP TABLE IF EXISTS dead_letters",
  "DROP TABLE IF EXISTS inbox",
  "DROP TABLE IF EXISTS outbox",
];
