// Lets notifications that have ended and charges that never became money be found by their age, for
// their retention.

export const up: readonly string[] = [
  "CREATE INDEX deliveries_next ON deliveries (next_at, created_at)",
  "DROP INDEX deliveries_due ON deliveries",
  "CREATE INDEX charges_status ON charges (status, updated_at)",
];

export const down: readonly string[] = [
  "DROP INDEX charges_status ON charges",
  "CREATE INDEX deliveries_due ON deliveries (next_at)",
  "DROP INDEX deliveries_next ON deliveries",
];
