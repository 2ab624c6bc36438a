// Entry of a node process. Prints one JSON line on stdout when it is up, for the launcher.
import { loadSettings, SettingsError } from "../config/load.ts";
import { createLog } from "../mixins/log.ts";
import { runNode, type RunningNode } from "./run-node.ts";

/** After this a stop that hangs is ended by force; longer than any single step of it. */
const FORCED_EXIT_AFTER_MS = 25_000;

async function main(): Promise<void> {
  const settings = loadSettings();
  const log = createLog(settings.LOG_LEVEL, { node: settings.NODE_ID });
  process.on("unhandledRejection", (error) => {
    // A half-alive process is worse than a restart: the supervisor brings it back.
    log.fatal({ err: error }, "unhandled rejection");
    process.exit(1);
  });
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "uncaught exception");
    process.exit(1);
  });
  const running = await runNode({ settings });
  stopOnSignals(running);
  process.stdout.write(`${JSON.stringify({ ready: running.node.nodeId })}\n`);
}

function stopOnSignals(running: RunningNode): void {
  const stop = (): void => {
    setTimeout(() => process.exit(1), FORCED_EXIT_AFTER_MS).unref();
    void running.stop().then(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof SettingsError ? error.message : String(error)}\n`);
  process.exit(1);
}
