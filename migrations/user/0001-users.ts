// Accounts, sessions, address book, mails and the leases of worker ids.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";
const TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

/** Worker ids have ten bits. */
const WORKER_IDS = 1_024;
const WORKER_ROWS = Array.from({ length: WORKER_IDS }, (_, id) => `(${id})`).join(", ");

export const up: readonly string[] = [
  // email is stored trimmed and in lower case; binary, so that no collation calls two of them one.
  `CREATE TABLE users (
    id BIGINT UNSIGNED NOT NULL,
    email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    nickname VARCHAR(50) NULL,
    role VARCHAR(10) ${ASCII} NOT NULL,
    password_hash VARCHAR(200) ${ASCII} NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY users_email (email),
    CONSTRAINT users_role_known CHECK (role IN ('customer', 'admin'))
  ) ${TABLE}`,

  // expires_at never moves: however often a session is refreshed, it ends. last_issued_at is when
  // its newest access token was made, which says how long revoking it has to be told.
  `CREATE TABLE refresh_families (
    id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    created_at DATETIME(3) NOT NULL,
    last_issued_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    revoked_at DATETIME(3) NULL,
    revoked_reason VARCHAR(20) ${ASCII} NULL,
    PRIMARY KEY (id),
    KEY refresh_families_user (user_id, revoked_at, id),
    KEY refresh_families_expiry (expires_at),
    CONSTRAINT refresh_families_reason_known
      CHECK (revoked_reason IN ('logout', 'reuse', 'password', 'too_many')),
    CONSTRAINT refresh_families_revoked
      CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
  ) ${TABLE}`,

  // SHA-256 in hex. A spent token stays until its family goes, or its reuse could not be seen.
  `CREATE TABLE refresh_tokens (
    token_hash CHAR(64) ${ASCII} NOT NULL,
    family_id BIGINT UNSIGNED NOT NULL,
    parent_hash CHAR(64) ${ASCII} NULL,
    created_at DATETIME(3) NOT NULL,
    spent_at DATETIME(3) NULL,
    PRIMARY KEY (token_hash),
    KEY refresh_tokens_family (family_id),
    KEY refresh_tokens_parent (parent_hash)
  ) ${TABLE}`,

  // seq is given out under the lock of the counter row, so that a reader who has seen n never
  // misses an m < n that commits later, as it would with AUTO_INCREMENT.
  `CREATE TABLE revocations (
    seq BIGINT UNSIGNED NOT NULL,
    family_id BIGINT UNSIGNED NULL,
    user_id BIGINT UNSIGNED NULL,
    revoked_at DATETIME(3) NOT NULL,
    PRIMARY KEY (seq),
    KEY revocations_age (revoked_at),
    CONSTRAINT revocations_names_one CHECK ((family_id IS NULL) <> (user_id IS NULL))
  ) ${TABLE}`,
  `CREATE TABLE revocation_counter (
    id TINYINT UNSIGNED NOT NULL,
    seq BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (id)
  ) ${TABLE}`,
  "INSERT INTO revocation_counter (id, seq) VALUES (1, 0)",

  // scope is a hash of an account and an address, or of an address alone: no e-mail of somebody
  // who has no account is kept.
  `CREATE TABLE login_throttles (
    scope CHAR(64) ${ASCII} NOT NULL,
    failures INT UNSIGNED NOT NULL,
    window_ends_at DATETIME(3) NOT NULL,
    PRIMARY KEY (scope),
    KEY login_throttles_end (window_ends_at)
  ) ${TABLE}`,

  // user_id is NULL for an unknown e-mail: asking for a reset does the same work for everybody.
  `CREATE TABLE password_resets (
    token_hash CHAR(64) ${ASCII} NOT NULL,
    user_id BIGINT UNSIGNED NULL,
    created_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    used_at DATETIME(3) NULL,
    PRIMARY KEY (token_hash),
    KEY password_resets_user (user_id, created_at),
    KEY password_resets_expiry (expires_at)
  ) ${TABLE}`,

  `CREATE TABLE mails (
    id BIGINT UNSIGNED NOT NULL,
    recipient VARCHAR(254) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    body TEXT NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY mails_age (created_at, id)
  ) ${TABLE}`,

  // default_of holds the user's id on the default address and NULL on the others, so that the
  // unique key allows at most one default for each user.
  `CREATE TABLE addresses (
    id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    recipient VARCHAR(100) NOT NULL,
    phone VARCHAR(32) NOT NULL,
    country CHAR(2) ${ASCII} NOT NULL,
    region VARCHAR(100) NOT NULL,
    city VARCHAR(100) NOT NULL,
    street VARCHAR(200) NOT NULL,
    postal_code VARCHAR(20) NOT NULL,
    default_of BIGINT UNSIGNED NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    UNIQUE KEY addresses_one_default (default_of),
    KEY addresses_user (user_id, created_at, id),
    CONSTRAINT addresses_default_is_owner CHECK (default_of IS NULL OR default_of = user_id)
  ) ${TABLE}`,

  // One row for each user with an address; changes of the book are made under its lock.
  `CREATE TABLE address_books (
    user_id BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (user_id)
  ) ${TABLE}`,

  `CREATE TABLE worker_leases (
    worker_id SMALLINT UNSIGNED NOT NULL,
    owner VARCHAR(128) ${ASCII} NULL,
    lease_until DATETIME(3) NOT NULL DEFAULT '1970-01-01 00:00:01.000',
    floor_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
    high_water_ms BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (worker_id),
    UNIQUE KEY worker_leases_owner (owner),
    KEY worker_leases_end (lease_until, worker_id)
  ) ${TABLE}`,
  `INSERT INTO worker_leases (worker_id) VALUES ${WORKER_ROWS}`,
];

export const down: readonly string[] = [
  "worker_leases",
  "address_books",
  "addresses",
  "mails",
  "password_resets",
  "login_throttles",
  "revocation_counter",
  "revocations",
  "refresh_tokens",
  "refresh_families",
  "users",
].map((table) => `DROP TABLE IF EXISTS ${table}`);
