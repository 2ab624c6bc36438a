// The static checks of `npm test`: each is one program that must end with code 0.
import { join } from "node:path";
import { findProgram } from "../launcher/find-programs.ts";
import { installPrograms } from "../launcher/install-programs.ts";

export interface Check {
  name: string;
  /** Program and arguments; made on demand, since a program may have to be installed first. */
  command: () => Promise<readonly string[]>;
}

const SOURCE_FOLDERS = ["services", "mixins", "lua", "config", "migrations", "scripts"] as const;

/** Checks of the source folder; packages' programs run on the Node we run on. */
export function checksOf(sourceDir: string): readonly Check[] {
  const packaged = (name: string, bin: string, args: readonly string[]): Check => ({
    name,
    command: () =>
      Promise.resolve([process.execPath, join(sourceDir, "node_modules", bin), ...args]),
  });
  return [
    packaged("prettier", "prettier/bin/prettier.cjs", ["--check", ".", "--log-level", "warn"]),
    packaged("eslint", "eslint/bin/eslint.js", [".", "--max-warnings", "0"]),
    packaged("tsc", "typescript/bin/tsc", ["--noEmit"]),
    packaged("depcruise", "dependency-cruiser/bin/dependency-cruise.mjs", [
      ...SOURCE_FOLDERS,
      "moleculer.config.ts",
      "--config",
      ".dependency-cruiser.cjs",
    ]),
    packaged("knip", "knip/bin/knip.js", []),
    { name: "luacheck", command: async () => [await luacheckPath(), "lua", "--quiet"] },
  ];
}

async function luacheckPath(): Promise<string> {
  const found = findProgram("luacheck");
  if (found !== null) return found;
  await installPrograms(["luacheck"]);
  return findProgram("luacheck") ?? "luacheck";
}
