// Units handed to flash sales. A publish's attempt is granted or refused once and for ever, so that
// whoever repeats it is told the same.

const ASCII = "CHARACTER SET ascii COLLATE ascii_bin";

export const up: readonly string[] = [
  `CREATE TABLE allotments (
    sale_id BIGINT UNSIGNED NOT NULL,
    attempt INT UNSIGNED NOT NULL,
    sku_id BIGINT UNSIGNED NOT NULL,
    quantity INT NOT NULL,
    status VARCHAR(8) ${ASCII} NOT NULL,
    returned INT NOT NULL DEFAULT 0,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    closed_at DATETIME(3) NULL,
    PRIMARY KEY (sale_id, attempt),
    CONSTRAINT allotments_status_known CHECK (status IN ('allotted', 'refused', 'closed')),
    CONSTRAINT allotments_quantity_positive CHECK (quantity >= 1),
    CONSTRAINT allotments_returned_bounded CHECK (returned BETWEEN 0 AND quantity),
    CONSTRAINT allotments_closed_when CHECK ((status = 'closed') = (closed_at IS NOT NULL))
  ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci`,
];

export const down: readonly string[] = ["DROP TABLE IF EXISTS allotments"];
