// The real servers tests run on: one throw-away set per test process, or the set whose URLs are in the
// environment (TEST_MYSQL_URL, TEST_REDIS_URL, TEST_NATS_URL), so that several runs can share one.
import { signalPid } from "../../scripts/launcher/guard.ts";
import type { RunningServers } from "../../scripts/launcher/servers.ts";
import { startServers } from "../../scripts/launcher/servers.ts";
import {
  makeThrowAwayFolder,
  removeThrowAwayFolder,
} from "../../scripts/launcher/throw-away-folder.ts";

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
 *
 * @param prepare makes the empty folder ready, before anything is started in it.
 */
export async function startThrowAwayServers(
  prepare: (dataDir: string) => void = () => undefined,
): Promise<RunningServers & { dataDir: string }> {
  const dataDir = makeThrowAwayFolder(FOLDER_PREFIX);
  prepare(dataDir);
  const servers = await startServers({ dataDir });
  const removeAll = (): void => {
    for (const server of Object.values(servers.processes)) {
      if (server.isRunning()) signalPid(server.pid, "SIGKILL");
    }
    removeThrowAwayFolder(dataDir);
  };
  process.once("exit", removeAll);
  return { ...servers, dataDir };
}
