// Numbers the units that came back, as admissions are numbered, and keeps how far a sale's two logs have
// been audited.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";

export const up: readonly string[] = [
  // end_seq: the give-back's number within its sale, from 1.
  "ALTER TABLE admissions ADD COLUMN end_seq INT UNSIGNED NULL AFTER seq",
  `UPDATE admissions AS ended
     JOIN (SELECT order_id,
                  ROW_NUMBER() OVER (PARTITION BY sale_id ORDER BY ended_at, order_id) AS number
             FROM admissions WHERE state = 'given_back') AS numbered
       ON numbered.order_id = ended.order_id
      SET ended.end_seq = numbered.number`,
  `ALTER TABLE admissions
     ADD CONSTRAINT admissions_ends_counted CHECK ((state = 'given_back') = (end_seq IS NOT NULL))`,
  // Two admissions under one number would be two entries of a log that has one.
  "CREATE UNIQUE INDEX admissions_by_number ON admissions (sale_id, seq)",
  "CREATE UNIQUE INDEX admissions_ends ON admissions (sale_id, end_seq)",
  "DROP INDEX admissions_log ON admissions",

  // Admissions 1..seq with their orders and give-backs 1..ends were found to hold; log_hash is the
  // hash of those admissions. A full check starts another round from nothing.
  `CREATE TABLE sale_audits (
    sale_id BIGINT UNSIGNED NOT NULL,
    round INT UNSIGNED NOT NULL DEFAULT 1,
    seq INT UNSIGNED NOT NULL DEFAULT 0,
    ends INT UNSIGNED NOT NULL DEFAULT 0,
    log_hash CHAR(64) ${ASCII} NOT NULL,
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (sale_id)
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci`,
];

export const down: readonly string[] = [
  "DROP TABLE IF EXISTS sale_audits",
  "CREATE INDEX admissions_log ON admissions (sale_id, seq)",
  "DROP INDEX admissions_ends ON admissions",
  "DROP INDEX admissions_by_number ON admissions",
  "ALTER TABLE admissions DROP CONSTRAINT admissions_ends_counted",
  "ALTER TABLE admissions DROP COLUMN end_seq",
];
