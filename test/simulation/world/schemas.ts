// The product's own tables, read from its migrations.
import { loadMigrations } from "../../../migrations/migration-files.ts";
import { parseTables } from "../sql/parse-table.ts";
import type { TableDefinition } from "../sql/syntax.ts";

export const SIMULATED_SCHEMAS = ["seckill", "order", "payment", "inventory"] as const;
export type SimulatedSchema = (typeof SIMULATED_SCHEMAS)[number];

async function tablesOf(schema: SimulatedSchema): Promise<readonly TableDefinition[]> {
  return parseTables((await loadMigrations(schema)).flatMap(({ up }) => up));
}

export const SIMULATED_TABLES: ReadonlyMap<SimulatedSchema, readonly TableDefinition[]> = new Map(
  await Promise.all(
    SIMULATED_SCHEMAS.map(async (schema) => [schema, await tablesOf(schema)] as const),
  ),
);
