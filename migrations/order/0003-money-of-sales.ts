// Lets the sums of a sale's orders be read from the index alone: its rows are spread over the table.

export const up: readonly string[] = [
  "CREATE INDEX orders_sale_money ON orders (sale_id, status, total_price, refunded_amount)",
  "DROP INDEX orders_sale ON orders",
];

export const down: readonly string[] = [
  "CREATE INDEX orders_sale ON orders (sale_id, status)",
  "DROP INDEX orders_sale_money ON orders",
];
