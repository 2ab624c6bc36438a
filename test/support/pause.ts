// Pauses a server so that it serves nothing of what it is sent from then on. SIGSTOP alone returns before that: each
// thread stops on its own, and the one behind a connection may still answer.
import { readdirSync, readFileSync } from "node:fs";
import type { ServerProcess } from "../../scripts/launcher/servers.ts";
import { eventually } from "./eventually.ts";

const STOP_TIMEOUT_MS = 5_000;

/** Resolves when every thread of the server stands still; SIGCONT lets it go on. */
export async function pause(server: Pick<ServerProcess, "kind" | "pid" | "kill">): Promise<void> {
  await server.kill("SIGSTOP");
  await eventually(() => standsStill(server.pid), {
    timeoutMs: STOP_TIMEOUT_MS,
    what: `${server.kind} stands still`,
    intervalMs: 1,
  });
}

function standsStill(pid: number): boolean {
  const threads = `/proc/${String(pid)}/task`;
  return readdirSync(threads).every((thread) =>
    /^State:\s+T/m.test(readFileSync(`${threads}/${thread}/status`, "utf8")),
  );
}
