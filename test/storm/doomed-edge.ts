// One more edge process that joins the running platform as the README describes, with a crash point armed: the
// first of its sales that comes there takes the process with it.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { startGuarded } from "../../scripts/launcher/guard.ts";
import { logSize, readLogFrom } from "../../scripts/launcher/log-files.ts";
import { inheritedEnvironment } from "../../scripts/launcher/node-process.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import { readPlatformEnv } from "../../scripts/launcher/run-state.ts";
import { eventually } from "../support/eventually.ts";
import { ROOT } from "../support/source.ts";
import { type Stage, whenReady } from "./stage.ts";

const START_TIMEOUT_MS = 60_000;
const DEATH_TIMEOUT_MS = 60_000;

export interface DoomedEdge {
  readonly url: string;
  isAlive(): boolean;
  /** Rejects when it is still alive after a minute. */
  whenDead(): Promise<void>;
}

/** Resolves when it serves. */
export async function startDoomedEdge(
  { folder }: Stage,
  { crashAt, passes }: { readonly crashAt: string; readonly passes: number },
): Promise<DoomedEdge> {
  const name = `doomed-${randomBytes(3).toString("hex")}`;
  const port = await findFreePort();
  const logFile = join(folder.log, "doomed-edge.log");
  const url = `http://127.0.0.1:${port}`;
  const logStart = logSize(logFile);
  const edge = await startGuarded({
    program: process.execPath,
    args: [join(ROOT, "test/support/cluster-node.ts")],
    cwd: folder.run,
    logFile,
    env: {
      ...inheritedEnvironment(),
      ...readPlatformEnv(folder),
      SERVICES: "edge",
      NODE_ID: name,
      PORT: String(port),
      METRICS_PORT: "0",
      CRASH_AT: crashAt,
      CRASH_AFTER: String(passes),
    },
  });
  await eventually(
    () => !edge.isRunning() || readLogFrom(logFile, logStart).includes('{"ready":'),
    {
      timeoutMs: START_TIMEOUT_MS,
      what: `${name} starts`,
    },
  );
  if (!edge.isRunning()) throw new Error(`${name} ended while it was starting`);
  await whenReady(url);
  return {
    url,
    isAlive: () => edge.isRunning(),
    async whenDead() {
      await eventually(() => !edge.isRunning(), {
        timeoutMs: DEATH_TIMEOUT_MS,
        what: `${name} dies at ${crashAt}`,
      }).finally(() => edge.stop());
    },
  };
}
