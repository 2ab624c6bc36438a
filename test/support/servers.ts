// The real servers tests run on: one throw-away set per test process, or the set whose URLs are in the
// environment (TEST_MYSQL_URL, TEST_REDIS_URL, TEST_NATS_URL), so that several runs can share one.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signalPid } from "../../scripts/launcher/guard.ts";
import type { RunningServers } from "../../scripts/launcher/servers.ts";
import { startServers } from "../../scripts/launcher/servers.ts";

const FOLDER_PREFIX = "flash-sale-test-";

export interface TestServers {
  mysqlUrl: string;
  redisUrl: string;
  natsUrl: string;
}

let shared: Promise<TestServers> | null = null;

/** URLs of the shared set; starts it at the first call. It ends with the process, nothing has to be stopped. */
export async function testServers(): Promise<TestServers> {
  shared ??= openShared();
  return await shared;
}

async function openShared(): Promise<TestServers> {
  const mysql = process.env["TEST_MYSQL_URL"];
  const redis = process.env["TEST_REDIS_URL"];
  const nats = process.env["TEST_NATS_URL"];
  if (mysql !== undefined && redis !== undefined && nats !== undefined) {
    return { mysqlUrl: mysql, redisUrl: redis, natsUrl: nats };
  }
  return await startThrowAwayServers();
}

/**
 * A set of servers of the caller's own, for tests that kill and restart them. `stop()` is optional: at the end
 * of the process the servers are killed and the folder removed.
 */
export async function startThrowAwayServers(): Promise<RunningServers & { dataDir: string }> {
  removeAbandonedFolders();
  const dataDir = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  const servers = await startServers({ dataDir });
  const removeAll = (): void => {
    for (const server of Object.values(servers.processes)) {
      if (server.isRunning()) signalPid(server.pid, "SIGKILL");
    }
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once("exit", removeAll);
  return { ...servers, dataDir };
}

/** Folders of test processes that were killed before they could tidy up. */
function removeAbandonedFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(FOLDER_PREFIX)) continue;
    const pid = Number.parseInt(name.slice(FOLDER_PREFIX.length), 10);
    if (Number.isInteger(pid) && !signalPid(pid, 0)) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 3 });
    }
  }
}
