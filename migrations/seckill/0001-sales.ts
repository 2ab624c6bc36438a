// Flash sales, who was let into them, and the units whose way back through the gate is not done.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

export const up: readonly string[] = [
  // admitted: live admissions now; granted: all ever; returned: units given back to the stock after
  // the end. (mode, epoch) is the fence of every admission. version counts the events of the sale.
  // gate_run_id: the Redis process the gate of this epoch was loaded into. gate_after, gate_flips:
  // when the gate may be used again, and how often it failed lately.
  `CREATE TABLE sales (
    id BIGINT UNSIGNED NOT NULL,
    sku_id BIGINT UNSIGNED NOT NULL,
    product_id BIGINT UNSIGNED NOT NULL,
    name VARCHAR(4000) NOT NULL,
    title VARCHAR(200) NOT NULL,
    price BIGINT NOT NULL,
    currency CHAR(3) ${ASCII} NOT NULL,
    quantity INT NOT NULL,
    admitted INT NOT NULL DEFAULT 0,
    granted INT NOT NULL DEFAULT 0,
    returned INT NOT NULL DEFAULT 0,
    pass_required TINYINT NOT NULL DEFAULT 0,
    strategy VARCHAR(8) ${ASCII} NOT NULL DEFAULT 'gate',
    status VARCHAR(10) ${ASCII} NOT NULL DEFAULT 'draft',
    attempt INT UNSIGNED NOT NULL DEFAULT 0,
    mode VARCHAR(8) ${ASCII} NOT NULL DEFAULT 'db',
    epoch INT UNSIGNED NOT NULL DEFAULT 0,
    version INT UNSIGNED NOT NULL DEFAULT 0,
    gate_run_id VARCHAR(64) ${ASCII} NULL,
    gate_flips INT UNSIGNED NOT NULL DEFAULT 0,
    gate_after DATETIME(3) NULL,
    mode_since DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    starts_at DATETIME(3) NOT NULL,
    ends_at DATETIME(3) NOT NULL,
    created_by BIGINT UNSIGNED NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY sales_status (status, ends_at),
    KEY sales_starts (starts_at, id),
    CONSTRAINT sales_status_known CHECK
      (status IN ('draft', 'publishing', 'published', 'closing', 'closed')),
    CONSTRAINT sales_mode_known CHECK (mode IN ('db', 'loading', 'redis')),
    CONSTRAINT sales_strategy_known CHECK (strategy IN ('gate', 'database')),
    CONSTRAINT sales_price_positive CHECK (price >= 1),
    CONSTRAINT sales_quantity_positive CHECK (quantity >= 1),
    CONSTRAINT sales_never_oversold CHECK (admitted >= 0 AND admitted + returned <= quantity),
    CONSTRAINT sales_granted_bounded CHECK (granted >= admitted),
    CONSTRAINT sales_window CHECK (starts_at < ends_at)
  ) ${TABLE}`,

  // live: 1 or NULL, so that the unique key allows one live admission per buyer and any number of
  // ended ones. seq: the admission's number within its sale, from 1; NULL when it is void.
  `CREATE TABLE admissions (
    order_id BIGINT UNSIGNED NOT NULL,
    sale_id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    live TINYINT NULL,
    state VARCHAR(10) ${ASCII} NOT NULL,
    seq INT UNSIGNED NULL,
    epoch INT UNSIGNED NOT NULL,
    request_id VARCHAR(64) ${ASCII} NOT NULL,
    reason VARCHAR(32) ${ASCII} NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    ended_at DATETIME(3) NULL,
    PRIMARY KEY (order_id),
    UNIQUE KEY admissions_one_per_user (sale_id, user_id, live),
    KEY admissions_log (sale_id, seq),
    CONSTRAINT admissions_state_known CHECK (state IN ('live', 'given_back', 'void')),
    CONSTRAINT admissions_live CHECK ((state = 'live') = (live IS NOT NULL)),
    CONSTRAINT admissions_counted CHECK ((state = 'void') = (seq IS NULL)),
    CONSTRAINT admissions_ended CHECK ((state = 'live') = (ended_at IS NULL))
  ) ${TABLE}`,

  // Written with the give-back, deleted when the gate knows of it.
  `CREATE TABLE give_backs (
    order_id BIGINT UNSIGNED NOT NULL,
    sale_id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (order_id),
    KEY give_backs_created (created_at)
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS give_backs",
  "DROP TABLE IF EXISTS admissions",
  "DROP TABLE IF EXISTS sales",
];
