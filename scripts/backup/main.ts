// `npm run backup [-- file]` writes all schemas of the running platform into one file. `npm run restore --
// file --yes` puts a stopped platform back to it, and checks the invariants.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { databaseCredentials, DATABASE_SCHEMAS, schemaName } from "../../config/database.ts";
import { loadSettings } from "../../config/load.ts";
import type { Settings } from "../../config/schema.ts";
import { prepareInvariants, runInvariant } from "../../mixins/auditor/invariants.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { createLog } from "../../mixins/log.ts";
import { type DataFolder, openDataFolder } from "../launcher/data-folder.ts";
import { LauncherError } from "../launcher/launcher-error.ts";
import { takeLock } from "../launcher/lock.ts";
import { readPlatformEnv } from "../launcher/run-state.ts";
import { givenServers, serverCredentials, settingSecrets } from "../launcher/start-settings.ts";
import { openSecrets } from "../launcher/secrets.ts";
import { startServers } from "../launcher/servers.ts";
import { backUp } from "./backup.ts";
import { restore } from "./restore.ts";

const USAGE = "npm run backup [-- file]   or   npm run restore -- file --yes";
/** Deadlines, messages and sagas that the stop interrupted are late, not lost: a day of grace. */
const GRACE_S = 86_400;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { yes: { type: "boolean", default: false } },
  });
  const [command, file] = positionals;
  const given = process.env["DATA_DIR"] ?? "";
  const folder = openDataFolder(
    resolve(import.meta.dirname, "../..", given === "" ? ".data" : given),
  );
  if (command === "backup") {
    await runBackup(folder, file);
    return;
  }
  if (command !== "restore" || file === undefined) throw new LauncherError("What?", USAGE);
  if (!values.yes) {
    throw new LauncherError(
      "A restore throws away everything that happened since the backup.",
      `If that is wanted: npm run restore -- ${file} --yes`,
    );
  }
  await runRestore(folder, file);
}

async function runBackup(folder: DataFolder, wanted: string | undefined): Promise<void> {
  const settings = loadSettings(readPlatformEnv(folder));
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
  const file = resolve(wanted ?? `${folder.root}/backup-${stamp}.sql.gz`);
  const { tables, rows } = await backUp(settings, file);
  console.log(`${file}: ${rows} rows of ${tables} tables`);
}

/** Nobody else may start the platform meanwhile. */
async function runRestore(folder: DataFolder, file: string): Promise<void> {
  const status = { pid: process.pid, state: "starting", url: "" } as const;
  const lock = await takeLock(folder, () => status);
  if (!lock.isMine) {
    throw new LauncherError("The platform is running.", "Stop it, then restore.");
  }
  const secrets = openSecrets(folder);
  const servers = await startServers({
    dataDir: folder.root,
    credentials: serverCredentials(secrets),
    given: givenServers(process.env),
  });
  try {
    const settings = loadSettings(process.env, {
      ...settingSecrets(secrets),
      MYSQL_URL: servers.mysqlUrl,
      REDIS_URL: servers.redisUrl,
      NATS_URL: servers.natsUrl,
    });
    const { head, statements, keysDeleted, streamsDeleted } = await restore(settings, file);
    console.log(`restored what was at ${head.made_at}: ${statements} statements`);
    console.log(`forgotten: ${keysDeleted} keys in Redis, ${streamsDeleted} streams in NATS`);
    await checkInvariants(settings);
  } finally {
    await servers.stop();
    await lock.release();
  }
}

/** Those of stock, orders and money; events without a receipt are published again by the next start. */
async function checkInvariants(settings: Settings): Promise<void> {
  const database = createDatabase({
    ...databaseCredentials(settings, "auditor"),
    poolSize: 2,
    log: createLog("fatal", {}),
  });
  try {
    const invariants = prepareInvariants({
      nameOf: (schema) => schemaName(settings, schema),
      schemas: DATABASE_SCHEMAS,
      times: { graceS: GRACE_S, holdS: GRACE_S },
    });
    let broken = 0;
    for (const invariant of invariants) {
      const { name, violations } = await runInvariant(database, invariant, () => Date.now());
      if (violations === 0) continue;
      broken += 1;
      console.log(`  ${name}: ${violations}`);
    }
    console.log(`${invariants.length - broken} of ${invariants.length} invariants hold`);
    if (broken > 0) process.exitCode = 1;
  } finally {
    await database.close();
  }
}

try {
  await main();
} catch (error) {
  process.exitCode = 1;
  if (error instanceof LauncherError) console.error(`${error.message}\n  ${error.wayOut}`);
  else console.error(error instanceof Error ? error.message : String(error));
}
