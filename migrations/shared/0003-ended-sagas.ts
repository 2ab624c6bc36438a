// Lets ended sagas be found by when they ended, for their retention.

export const up: readonly string[] = [
  "CREATE INDEX sagas_ended ON sagas (next_at, updated_at)",
  "DROP INDEX sagas_due ON sagas",
];

export const down: readonly string[] = [
  "CREATE INDEX sagas_due ON sagas (next_at)",
  "DROP INDEX sagas_ended ON sagas",
];
