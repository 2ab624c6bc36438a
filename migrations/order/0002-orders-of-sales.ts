// Finds the orders of one flash sale, for its audit.

export const up: readonly string[] = ["CREATE INDEX orders_sale ON orders (sale_id, status)"];

export const down: readonly string[] = ["DROP INDEX orders_sale ON orders"];
