// Traces of the other requests of a group commit, beside the one its event belongs to: W3C trace
// contexts, comma separated.

export const up: readonly string[] = [
  "ALTER TABLE outbox ADD COLUMN trace_links VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER traceparent",
];

export const down: readonly string[] = ["ALTER TABLE outbox DROP COLUMN trace_links"];
