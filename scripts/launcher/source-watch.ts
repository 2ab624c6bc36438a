// Tells when source code has changed: once per burst of changes, for `npm run dev`.
import type { FSWatcher } from "node:fs";
import { existsSync, watch } from "node:fs";
import { join } from "node:path";

const WATCHED = ["services", "mixins", "lua", "config", "moleculer.config.ts"] as const;
const QUIET_MS = 150;
const SOURCE_FILE = /\.(ts|lua|json)$/;

/** Calls `onChange` with the last changed file when nothing more has changed for 150 ms; returns how to end it. */
export function watchSource(sourceDir: string, onChange: (file: string) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const watchers: FSWatcher[] = [];
  for (const part of WATCHED) {
    const path = join(sourceDir, part);
    if (!existsSync(path)) continue;
    const watcher = watch(path, { recursive: true }, (_event, name) => {
      const file = name === null || name === part ? part : join(part, name);
      if (!SOURCE_FILE.test(file)) return;
      clearTimeout(timer);
      timer = setTimeout(() => onChange(file), QUIET_MS);
    });
    watchers.push(watcher);
  }
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
