// Payments, the inbox of the providers' callbacks, refunds, the money ledger and what differed from
// the providers' own lists. Ledger entries are written once and never changed.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";
const NOW = "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)";

export const up: readonly string[] = [
  // One row per order, locked before its payments: creating, settling and closing exclude each
  // other. closing_at refuses new payments; closed_at makes every later success a late one.
  `CREATE TABLE payment_orders (
    order_id BIGINT UNSIGNED NOT NULL,
    closing_at DATETIME(3) NULL,
    closed_at DATETIME(3) NULL,
    created_at ${NOW},
    PRIMARY KEY (order_id),
    CONSTRAINT payment_orders_closing_first CHECK (closed_at IS NULL OR closing_at IS NOT NULL)
  ) ${TABLE}`,

  // live is 1 for the payment that counts for its order (open, or captured for it), else NULL.
  // refund_reserved: promised to be given back; refunded_amount: booked. A payment that is closed
  // and captured came too late or twice, and waits for its refund.
  `CREATE TABLE payments (
    id BIGINT UNSIGNED NOT NULL,
    order_id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    channel VARCHAR(8) ${ASCII} NOT NULL,
    amount BIGINT NOT NULL,
    currency CHAR(3) ${ASCII} NOT NULL,
    status VARCHAR(9) ${ASCII} NOT NULL DEFAULT 'pending',
    live TINYINT NULL,
    refund_reserved BIGINT NOT NULL DEFAULT 0,
    refunded_amount BIGINT NOT NULL DEFAULT 0,
    pay_url VARCHAR(4000) ${ASCII} NULL,
    version INT UNSIGNED NOT NULL DEFAULT 1,
    expires_at DATETIME(3) NOT NULL,
    captured_at DATETIME(3) NULL,
    created_at ${NOW},
    updated_at ${NOW} ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY payments_one_live (order_id, live),
    KEY payments_captured (channel, captured_at, id),
    CONSTRAINT payments_status_known CHECK (status IN
      ('pending', 'succeeded', 'failed', 'closed', 'refunded')),
    CONSTRAINT payments_live_one CHECK (live IS NULL OR live = 1),
    CONSTRAINT payments_pending_live CHECK (status <> 'pending' OR live = 1),
    CONSTRAINT payments_amount_positive CHECK (amount > 0),
    CONSTRAINT payments_captured_when CHECK
      (captured_at IS NOT NULL OR status IN ('pending', 'failed', 'closed')),
    CONSTRAINT payments_not_captured_when CHECK
      (captured_at IS NULL OR status IN ('succeeded', 'closed', 'refunded')),
    CONSTRAINT payments_refund_reserved CHECK
      (refund_reserved BETWEEN 0 AND CASE WHEN captured_at IS NULL THEN 0 ELSE amount END),
    CONSTRAINT payments_refund_booked CHECK (refunded_amount BETWEEN 0 AND refund_reserved),
    CONSTRAINT payments_refunded_full CHECK ((status = 'refunded') = (refunded_amount = amount))
  ) ${TABLE}`,

  // Kept for ever: providers send again for days. source 'query' is a capture the provider told of
  // when it was asked; its webhook_id is made from the payment's id.
  `CREATE TABLE callbacks (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    channel VARCHAR(8) ${ASCII} NOT NULL,
    webhook_id VARCHAR(190) ${ASCII} NOT NULL,
    payment_id BIGINT UNSIGNED NOT NULL,
    source VARCHAR(8) ${ASCII} NOT NULL,
    outcome VARCHAR(9) ${ASCII} NOT NULL,
    amount BIGINT NOT NULL,
    provider_ref VARCHAR(128) NOT NULL,
    payload_hash CHAR(64) ${ASCII} NOT NULL,
    received_at ${NOW},
    applied_at DATETIME(3) NULL,
    effect VARCHAR(9) ${ASCII} NULL,
    PRIMARY KEY (id),
    UNIQUE KEY callbacks_once (channel, webhook_id),
    KEY callbacks_payment (payment_id, applied_at),
    KEY callbacks_unapplied (applied_at, received_at),
    CONSTRAINT callbacks_source_known CHECK (source IN ('provider', 'query')),
    CONSTRAINT callbacks_outcome_known CHECK (outcome IN ('succeeded', 'failed')),
    CONSTRAINT callbacks_effect_known CHECK
      (effect IN ('captured', 'late', 'duplicate', 'failed', 'ignored')),
    CONSTRAINT callbacks_applied CHECK ((applied_at IS NULL) = (effect IS NULL))
  ) ${TABLE}`,

  // next_at: when the provider is asked (again); NULL once the refund is booked.
  `CREATE TABLE refunds (
    id BIGINT UNSIGNED NOT NULL,
    payment_id BIGINT UNSIGNED NOT NULL,
    refund_key VARCHAR(300) ${ASCII} NOT NULL,
    amount BIGINT NOT NULL,
    reason VARCHAR(200) NOT NULL,
    status VARCHAR(9) ${ASCII} NOT NULL DEFAULT 'pending',
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    next_at DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3),
    last_error VARCHAR(200) NULL,
    created_at ${NOW},
    succeeded_at DATETIME(3) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY refunds_once (payment_id, refund_key),
    KEY refunds_due (next_at),
    CONSTRAINT refunds_status_known CHECK (status IN ('pending', 'succeeded')),
    CONSTRAINT refunds_amount_positive CHECK (amount > 0),
    CONSTRAINT refunds_due_while_pending CHECK ((status = 'pending') = (next_at IS NOT NULL)),
    CONSTRAINT refunds_succeeded_when CHECK ((status = 'succeeded') = (succeeded_at IS NOT NULL))
  ) ${TABLE}`,

  // Double entry: the amounts of one cause add up to 0. Debits are positive.
  `CREATE TABLE ledger_entries (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    cause_type VARCHAR(8) ${ASCII} NOT NULL,
    cause_id BIGINT UNSIGNED NOT NULL,
    account VARCHAR(24) ${ASCII} NOT NULL,
    amount BIGINT NOT NULL,
    payment_id BIGINT UNSIGNED NOT NULL,
    created_at ${NOW},
    PRIMARY KEY (id),
    UNIQUE KEY ledger_entries_once (cause_type, cause_id, account),
    KEY ledger_entries_payment (payment_id),
    CONSTRAINT ledger_entries_cause_known CHECK (cause_type IN ('capture', 'refund')),
    CONSTRAINT ledger_entries_account_known CHECK (account IN
      ('provider_receivable', 'order_revenue', 'refunds', 'refunds_payable')),
    CONSTRAINT ledger_entries_not_zero CHECK (amount <> 0)
  ) ${TABLE}`,

  // subject: what of that day differs, so that a repeated comparison books it once.
  `CREATE TABLE reconciliation_differences (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    day CHAR(10) ${ASCII} NOT NULL,
    channel VARCHAR(8) ${ASCII} NOT NULL,
    subject VARCHAR(140) ${ASCII} NOT NULL,
    payment_id BIGINT UNSIGNED NULL,
    provider_ref VARCHAR(128) NULL,
    kind VARCHAR(16) ${ASCII} NOT NULL,
    ours BIGINT NULL,
    theirs BIGINT NULL,
    created_at ${NOW},
    PRIMARY KEY (id),
    UNIQUE KEY reconciliation_differences_once (day, channel, subject),
    CONSTRAINT reconciliation_differences_kind_known CHECK (kind IN
      ('missing_here', 'missing_there', 'amount_differs'))
  ) ${TABLE}`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS reconciliation_differences",
  "DROP TABLE IF EXISTS ledger_entries",
  "DROP TABLE IF EXISTS refunds",
  "DROP TABLE IF EXISTS callbacks",
  "DROP TABLE IF EXISTS payments",
  "DROP TABLE IF EXISTS payment_orders",
];

/** What the service's own user may do with tables that are written once. */
export const grants = {
  ledger_entries: ["SELECT", "INSERT"],
} as const;
