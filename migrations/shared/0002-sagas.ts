// The saga log: one row per saga, advanced in the transaction of the local effect it tells of.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";

export const up: readonly string[] = [
  // next_at is NULL when the saga is finished, so that the claim's index holds open sagas first
  // and the claim never reads finished ones.
  `CREATE TABLE IF NOT EXISTS sagas (
    id BIGINT UNSIGNED NOT NULL,
    type VARCHAR(64) ${ASCII} NOT NULL,
    status VARCHAR(16) ${ASCII} NOT NULL,
    log TEXT NOT NULL,
    context MEDIUMTEXT NOT NULL,
    version INT UNSIGNED NOT NULL DEFAULT 1,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    last_error VARCHAR(500) NULL,
    lease_owner VARCHAR(150) ${ASCII} NULL,
    lease_until DATETIME(3) NULL,
    next_at DATETIME(3) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (type, id),
    KEY sagas_due (next_at),
    CONSTRAINT sagas_status_known
      CHECK (status IN ('running', 'compensating', 'done', 'compensated')),
    CONSTRAINT sagas_finished CHECK ((status IN ('done', 'compensated')) = (next_at IS NULL))
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci`,
];

export const down: readonly string[] = ["DROP TABLE IF EXISTS sagas"];
