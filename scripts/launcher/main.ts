// Entry of the launcher: `up` (npm start), `dev` (npm run dev), `repl` (npm run repl).
import { enableCompileCache } from "node:module";
import { join, resolve } from "node:path";

const SOURCE_DIR = resolve(import.meta.dirname, "..", "..");
const COMMANDS = ["up", "dev", "repl"] as const;
type Command = (typeof COMMANDS)[number];

async function main(): Promise<void> {
  const command = process.argv[2] ?? "up";
  if (!isCommand(command)) {
    console.error(`Unknown command. One of: ${COMMANDS.join(", ")}`);
    process.exitCode = 2;
    return;
  }
  const given = process.env["DATA_DIR"] ?? "";
  const dataDir = resolve(SOURCE_DIR, given === "" ? ".data" : given);
  // Must come before the modules it is to cache are loaded, hence the imports below.
  enableCompileCache(join(dataDir, "cache"));
  const { up, explain } = await import("./up.ts");
  try {
    if (command === "repl") {
      const { repl } = await import("./repl.ts");
      await repl(dataDir);
    } else {
      await up({ sourceDir: SOURCE_DIR, dataDir, isDev: command === "dev" });
    }
  } catch (error) {
    explain(error);
    process.exitCode = (error as { exitCode?: number }).exitCode ?? 1;
  }
}

function isCommand(word: string): word is Command {
  return (COMMANDS as readonly string[]).includes(word);
}

await main();
