// The mock payment provider's own books: charges, refunds and the callbacks it has to deliver.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";
const NOW = "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)";

export const up: readonly string[] = [
  // amount is 0 for a charge the merchant closed before it was registered.
  `CREATE TABLE charges (
    payment_id BIGINT UNSIGNED NOT NULL,
    amount BIGINT NOT NULL,
    currency CHAR(3) ${ASCII} NOT NULL,
    status VARCHAR(8) ${ASCII} NOT NULL,
    provider_ref VARCHAR(64) ${ASCII} NOT NULL,
    captured_at DATETIME(3) NULL,
    created_at ${NOW},
    updated_at ${NOW} ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (payment_id),
    KEY charges_captured (captured_at, payment_id),
    CONSTRAINT charges_status_known CHECK (status IN ('open', 'captured', 'failed', 'closed')),
    CONSTRAINT charges_captured_when CHECK ((status = 'captured') = (captured_at IS NOT NULL)),
    CONSTRAINT charges_amount_not_negative CHECK (amount >= 0)
  ) ${TABLE}`,

  // is_capture_known is 0 when the merchant holds a capture that was not made here.
  `CREATE TABLE charge_refunds (
    refund_id BIGINT UNSIGNED NOT NULL,
    payment_id BIGINT UNSIGNED NOT NULL,
    amount BIGINT NOT NULL,
    provider_ref VARCHAR(64) ${ASCII} NOT NULL,
    is_capture_known TINYINT NOT NULL,
    created_at ${NOW},
    PRIMARY KEY (refund_id),
    KEY charge_refunds_payment (payment_id),
    CONSTRAINT charge_refunds_amount_positive CHECK (amount > 0)
  ) ${TABLE}`,

  // next_at: when the callback is sent (again); NULL when it was taken or given up.
  `CREATE TABLE deliveries (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    webhook_id VARCHAR(64) ${ASCII} NOT NULL,
    payment_id BIGINT UNSIGNED NOT NULL,
    body TEXT NOT NULL,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    last_status INT NULL,
    next_at DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
    delivered_at DATETIME(3) NULL,
    created_at ${NOW},
    PRIMARY KEY (id),
    UNIQUE KEY deliveries_once (webhook_id),
    KEY deliveries_due (next_at),
    CONSTRAINT deliveries_ended CHECK (delivered_at IS NULL OR next_at IS NULL)
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS deliveries",
  "DROP TABLE IF EXISTS charge_refunds",
  "DROP TABLE IF EXISTS charges",
];
