// Switches, lists of buyers and limits, and the record of their changes, which nobody can rewrite.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";
const KINDS =
  "'degrade_browsing', 'stop_orders', 'pause_sale', 'disable_channel', 'blocked', 'invited', 'limit_sku'";

export const up: readonly string[] = [
  // One row. Every change takes its number here first, so that a node that has seen n never misses
  // an m < n that commits later.
  `CREATE TABLE IF NOT EXISTS rule_clock (
    id TINYINT UNSIGNED NOT NULL,
    seq BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (id)
  ) ${TABLE}`,
  "INSERT IGNORE INTO rule_clock (id, seq) VALUES (1, 0)",

  // target: sale, channel or SKU; user_id: the buyer of a list; both empty for the whole shop.
  `CREATE TABLE IF NOT EXISTS rules (
    kind VARCHAR(20) ${ASCII} NOT NULL,
    target VARCHAR(64) ${ASCII} NOT NULL,
    user_id VARCHAR(20) ${ASCII} NOT NULL,
    is_on TINYINT NOT NULL,
    value INT NULL,
    reason VARCHAR(200) NOT NULL,
    source VARCHAR(10) ${ASCII} NOT NULL,
    changed_by BIGINT UNSIGNED NULL,
    changed_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NULL,
    seq BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (kind, target, user_id),
    UNIQUE KEY rules_seq (seq),
    KEY rules_expiry (expires_at),
    CONSTRAINT rules_kind_known CHECK (kind IN (${KINDS})),
    CONSTRAINT rules_source_known CHECK (source IN ('admin', 'trigger', 'expiry'))
  ) ${TABLE}`,

  `CREATE TABLE IF NOT EXISTS rule_changes (
    seq BIGINT UNSIGNED NOT NULL,
    kind VARCHAR(20) ${ASCII} NOT NULL,
    target VARCHAR(64) ${ASCII} NOT NULL,
    user_id VARCHAR(20) ${ASCII} NOT NULL,
    is_on TINYINT NOT NULL,
    value INT NULL,
    reason VARCHAR(200) NOT NULL,
    source VARCHAR(10) ${ASCII} NOT NULL,
    changed_by BIGINT UNSIGNED NULL,
    changed_at DATETIME(3) NOT NULL,
    PRIMARY KEY (seq),
    KEY rule_changes_kind (kind, seq)
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS rule_changes",
  "DROP TABLE IF EXISTS rules",
  "DROP TABLE IF EXISTS rule_clock",
];

export const grants = { rule_changes: ["SELECT", "INSERT"] } as const;
