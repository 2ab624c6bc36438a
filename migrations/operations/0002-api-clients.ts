// API clients are rules too: every node follows them, and every change of them is on record. A step
// back takes the clients away, for the older code knows no such kind; the record of them stays.

const KINDS =
  "'degrade_browsing', 'stop_orders', 'pause_sale', 'disable_channel', 'blocked', 'invited', 'limit_sku'";

export const up: readonly string[] = [
  "ALTER TABLE rules DROP CONSTRAINT rules_kind_known",
  `ALTER TABLE rules ADD CONSTRAINT rules_kind_known CHECK (kind IN (${KINDS}, 'api_client'))`,
];

export const down: readonly string[] = [
  "DELETE FROM rules WHERE kind = 'api_client'",
  "ALTER TABLE rules DROP CONSTRAINT rules_kind_known",
  `ALTER TABLE rules ADD CONSTRAINT rules_kind_known CHECK (kind IN (${KINDS}))`,
];
