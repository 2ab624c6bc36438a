// Finds the migrations of a schema: what all event owners share first, then the service's own, each
// in the order of its number. A file is plain SQL and imports nothing of the product.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { OwnedSchema } from "../config/database.ts";

/** Rights on a table; INSERT and SELECT alone make a ledger that nobody can rewrite. */
export type TableRight = "SELECT" | "INSERT" | "UPDATE" | "DELETE";

export interface MigrationFile {
  /** Folder and file name without its ending, such as `order/0001-orders`. */
  readonly name: string;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** Tables whose rights differ from all four. */
  readonly grants: Readonly<Record<string, readonly TableRight[]>>;
}

interface MigrationModule {
  readonly up?: readonly string[];
  readonly down?: readonly string[];
  readonly grants?: Readonly<Record<string, readonly TableRight[]>>;
}

const FILE_NAME = /^\d{4}-[a-z0-9-]+\.ts$/;
const SHARED = "shared";

/** No part of the platform's messaging: they keep only their own tables. */
const WITHOUT_MESSAGES: readonly OwnedSchema[] = ["operations", "provider"];

function foldersOf(schema: OwnedSchema): readonly string[] {
  return WITHOUT_MESSAGES.includes(schema) ? [schema] : [SHARED, schema];
}

export async function loadMigrations(schema: OwnedSchema): Promise<MigrationFile[]> {
  const files: MigrationFile[] = [];
  for (const folder of foldersOf(schema)) files.push(...(await loadFolder(folder)));
  return files;
}

async function loadFolder(folder: string): Promise<MigrationFile[]> {
  const path = join(import.meta.dirname, folder);
  const names = await readdir(path).catch(() => []);
  const files = names.filter((name) => FILE_NAME.test(name)).sort();
  return await Promise.all(
    files.map(async (file) => {
      const module = (await import(pathToFileURL(join(path, file)).href)) as MigrationModule;
      const name = `${folder}/${file.slice(0, -".ts".length)}`;
      const { up, down, grants = {} } = module;
      if (up === undefined || down === undefined) {
        throw new Error(`migration ${name} must export up and down`);
      }
      return { name, up, down, grants };
    }),
  );
}
