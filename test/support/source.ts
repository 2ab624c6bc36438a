// The product's own source as text, for the tests that read it.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

export const ROOT = new URL("../..", import.meta.url).pathname;
export const PRODUCT_FOLDERS = ["services", "mixins", "lua", "config"] as const;

export interface SourceFile {
  /** Path from the root of the repository. */
  readonly path: string;
  readonly text: string;
}

/** All files below the folders whose names end so. */
export function sourceFiles(folders: readonly string[], ending = ".ts"): readonly SourceFile[] {
  return folders.flatMap((folder) => walk(join(ROOT, folder), ending));
}

function walk(folder: string, ending: string): SourceFile[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return name === "node_modules" ? [] : walk(path, ending);
    if (!name.endsWith(ending)) return [];
    return [{ path: relative(ROOT, path), text: readFileSync(path, "utf8") }];
  });
}

export function readRoot(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}
