// Stock per SKU, reservations per order, and the append-only ledger of what changed the stock.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

export const up: readonly string[] = [
  // version counts the transactions that changed the row; 0 = not opened yet, never committed so.
  `CREATE TABLE stock (
    sku_id BIGINT UNSIGNED NOT NULL,
    available INT NOT NULL,
    reserved INT NOT NULL,
    allotted INT NOT NULL,
    safety_stock INT NOT NULL,
    version BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (sku_id),
    CONSTRAINT stock_available_not_negative CHECK (available >= 0),
    CONSTRAINT stock_reserved_not_negative CHECK (reserved >= 0),
    CONSTRAINT stock_allotted_not_negative CHECK (allotted >= 0),
    CONSTRAINT stock_safety_stock_not_negative CHECK (safety_stock >= 0)
  ) ${TABLE}`,

  // One row per order; released without lines = tombstone: it refuses a reserve that comes later.
  // The index serves the search for holds that are too old.
  `CREATE TABLE reservations (
    order_id BIGINT UNSIGNED NOT NULL,
    status VARCHAR(9) ${ASCII} NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (order_id),
    KEY reservations_status (status, created_at),
    CONSTRAINT reservations_status_known CHECK (status IN ('held', 'committed', 'released'))
  ) ${TABLE}`,

  `CREATE TABLE reservation_lines (
    order_id BIGINT UNSIGNED NOT NULL,
    sku_id BIGINT UNSIGNED NOT NULL,
    quantity INT NOT NULL,
    PRIMARY KEY (order_id, sku_id),
    CONSTRAINT reservation_lines_quantity_positive CHECK (quantity >= 1)
  ) ${TABLE}`,

  // The unique key makes every booking happen once, whatever repeats the message or the call.
  `CREATE TABLE stock_movements (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    sku_id BIGINT UNSIGNED NOT NULL,
    kind VARCHAR(10) ${ASCII} NOT NULL,
    available_delta INT NOT NULL,
    reserved_delta INT NOT NULL,
    allotted_delta INT NOT NULL,
    cause_type VARCHAR(10) ${ASCII} NOT NULL,
    cause_id VARCHAR(64) ${ASCII} NOT NULL,
    reason VARCHAR(200) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY stock_movements_once (cause_type, cause_id, kind, sku_id),
    KEY stock_movements_sku (sku_id, id),
    CONSTRAINT stock_movements_kind_known CHECK (kind IN
      ('receipt', 'adjustment', 'reserve', 'release', 'commit', 'restock', 'allot', 'return')),
    CONSTRAINT stock_movements_cause_known CHECK (cause_type IN
      ('opening', 'admin', 'order', 'sale'))
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS stock_movements",
  "DROP TABLE IF EXISTS reservation_lines",
  "DROP TABLE IF EXISTS reservations",
  "DROP TABLE IF EXISTS stock",
];

/** What the service's own user may do with tables that are written once. */
export const grants = {
  stock_movements: ["SELECT", "INSERT"],
  reservation_lines: ["SELECT", "INSERT"],
} as const;
