// Orders, their lines as they were bought, and the append-only history of their statuses.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

export const up: readonly string[] = [
  // version counts the changes of status and is the version of the last row in order_events.
  // address is a JSON copy. expires_at is unknown until the stock is reserved. A key per list and
  // sort, and one for the deadline scanner.
  `CREATE TABLE orders (
    id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    status VARCHAR(16) ${ASCII} NOT NULL,
    version INT UNSIGNED NOT NULL,
    total_price BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    refunded_amount BIGINT NOT NULL,
    currency CHAR(3) ${ASCII} NOT NULL,
    address TEXT NULL,
    note VARCHAR(500) NULL,
    sale_id BIGINT UNSIGNED NULL,
    cancel_reason VARCHAR(32) ${ASCII} NULL,
    payment_id BIGINT UNSIGNED NULL,
    expires_at DATETIME(3) NULL,
    paid_at DATETIME(3) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY orders_user_created (user_id, created_at, id),
    KEY orders_user_total (user_id, total_price, id),
    KEY orders_status_created (status, created_at, id),
    KEY orders_created (created_at, id),
    KEY orders_total (total_price, id),
    KEY orders_due (status, expires_at),
    CONSTRAINT orders_status_known CHECK (status IN ('placing', 'failed', 'pending_payment',
      'closing', 'paid', 'cancelled', 'shipped', 'completed', 'refunded')),
    CONSTRAINT orders_total_price_positive CHECK (total_price >= 1),
    CONSTRAINT orders_discount_not_negative CHECK (discount >= 0),
    CONSTRAINT orders_refund_bounded CHECK (refunded_amount BETWEEN 0 AND total_price),
    CONSTRAINT orders_shown_expire
      CHECK (status IN ('placing', 'failed') OR expires_at IS NOT NULL),
    CONSTRAINT orders_paid_by CHECK ((payment_id IS NOT NULL) =
      (status IN ('paid', 'shipped', 'completed', 'refunded'))),
    CONSTRAINT orders_paid_when CHECK ((payment_id IS NULL) = (paid_at IS NULL))
  ) ${TABLE}`,

  `CREATE TABLE order_items (
    order_id BIGINT UNSIGNED NOT NULL,
    line TINYINT UNSIGNED NOT NULL,
    sku_id BIGINT UNSIGNED NOT NULL,
    product_id BIGINT UNSIGNED NOT NULL,
    name VARCHAR(4000) NOT NULL,
    quantity INT UNSIGNED NOT NULL,
    price BIGINT NOT NULL,
    PRIMARY KEY (order_id, line),
    CONSTRAINT order_items_quantity_positive CHECK (quantity >= 1),
    CONSTRAINT order_items_price_positive CHECK (price >= 1)
  ) ${TABLE}`,

  // actor: \`system\`, or role and user id, such as \`admin:42\`.
  `CREATE TABLE order_events (
    order_id BIGINT UNSIGNED NOT NULL,
    version INT UNSIGNED NOT NULL,
    from_status VARCHAR(16) ${ASCII} NULL,
    to_status VARCHAR(16) ${ASCII} NOT NULL,
    reason VARCHAR(32) ${ASCII} NULL,
    actor VARCHAR(40) ${ASCII} NOT NULL,
    at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (order_id, version)
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS order_events",
  "DROP TABLE IF EXISTS order_items",
  "DROP TABLE IF EXISTS orders",
];

/** What the service's own user may do with tables that are written once. */
export const grants = {
  order_items: ["SELECT", "INSERT"],
  order_events: ["SELECT", "INSERT"],
} as const;
