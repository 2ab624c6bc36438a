// Schemas of the floors on the measured server: the product's own migrations, without its users, so
// that both write into the same tables with the same keys and checks.
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { OwnedSchema } from "../../config/database.ts";
import { loadMigrations } from "../../migrations/migration-files.ts";

export const FLOOR_OWNERS = ["order", "inventory", "payment", "provider"] as const;
export type FloorOwner = (typeof FLOOR_OWNERS)[number];

const STOCK_PER_SKU = 100_000_000;

/** Name of each owner's floor schema. */
export async function createFloorSchemas(
  admin: Connection,
  skuIds: readonly string[],
): Promise<Readonly<Record<FloorOwner, string>>> {
  const schemas = Object.fromEntries(FLOOR_OWNERS.map((owner) => [owner, `bench_floor_${owner}`]));
  for (const owner of FLOOR_OWNERS) await createSchema(admin, owner, schemas[owner] ?? "");
  const rows = skuIds.map((skuId) => [skuId, STOCK_PER_SKU, 0, 0, 0, 1]);
  await admin.query(
    `INSERT INTO \`${schemas["inventory"] ?? ""}\`.stock
       (sku_id, available, reserved, allotted, safety_stock, version) VALUES ?`,
    [rows],
  );
  return schemas as Record<FloorOwner, string>;
}

export async function createSchema(
  admin: Connection,
  owner: OwnedSchema,
  name: string,
): Promise<void> {
  await admin.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`);
  await admin.query(`USE \`${name}\``);
  for (const { up } of await loadMigrations(owner)) {
    for (const statement of up) await admin.query(statement);
  }
}

/** Rows by `<owner>.<table>`. */
export type RowCounts = ReadonlyMap<string, number>;

/** Counts the rows of what trading writes. */
export async function countRows(
  admin: Connection,
  schemas: Readonly<Record<FloorOwner, string>>,
): Promise<RowCounts> {
  const counts = new Map<string, number>();
  for (const owner of FLOOR_OWNERS) {
    for (const table of TRADE_TABLES[owner]) {
      const [rows] = await admin.query<(RowDataPacket & { n: string | number })[]>(
        `SELECT COUNT(*) AS n FROM \`${schemas[owner]}\`.\`${table}\``,
      );
      counts.set(`${owner}.${table}`, Number(rows[0]?.n ?? 0));
    }
  }
  return counts;
}

const TRADE_TABLES: Readonly<Record<FloorOwner, readonly string[]>> = {
  order: [
    ...["idempotency_keys", "orders", "order_items", "order_events", "sagas", "outbox", "inbox"],
  ],
  inventory: ["reservations", "reservation_lines", "stock_movements", "inbox"],
  payment: ["payment_orders", "payments", "callbacks", "ledger_entries", "outbox"],
  provider: ["charges", "deliveries"],
};
