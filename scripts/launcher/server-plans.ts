// What each private server is started with: its flags, its private configuration file, how to tell that it is
// ready. Durability is part of the product: Redis AOF every second, JetStream on file, InnoDB flushed at commit.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ServerCredentials } from "./credentials.ts";
import type { DataFolder } from "./data-folder.ts";
import type { ServerKind, ServerProgram } from "./find-programs.ts";
import { LauncherError, explainFileError } from "./launcher-error.ts";
import { probeMysql, probeNats, probeRedis } from "./probes.ts";
import { natsUsers, redisUserLines, type ServerUser } from "./server-users.ts";

const run = promisify(execFile);

const USER_NAME = "platform";
const LOOPBACK = "127.0.0.1";
const PRIVATE_FILE_MODE = 0o600;
const INSTALL_TIMEOUT_MS = 120_000;
const INSTALL_OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const MYSQL_CONNECTIONS_MAX = 300;
/**
 * Every stream reserves the most it may ever hold, 1 GiB, and the server refuses a stream whose reservation
 * it has no room for: by default three quarters of the disk's free space, so that a small disk would have
 * no streams at all. What is written is bounded by the streams themselves.
 */
const JETSTREAM_RESERVATIONS_MAX = "1TB";
const MYSQL_BUFFER_POOL = "256M";
const MYSQL_LOG_FILE = "64M";

export interface ServerPlanInput {
  program: ServerProgram;
  folder: DataFolder;
  credentials: ServerCredentials;
  /** Logins with fewer rights than the platform's own. */
  users: readonly ServerUser[];
  port: number;
}

export interface ServerPlan {
  args: readonly string[];
  cwd: string;
  /** URL with user and password. */
  url: string;
  /** Makes the data of a first start; does nothing when it is there. */
  prepare: () => Promise<void>;
  /** True when the server answers with these credentials; never throws. */
  isReady: () => Promise<boolean>;
}

export function planServer(input: ServerPlanInput): ServerPlan {
  const plans: Record<ServerKind, (input: ServerPlanInput) => ServerPlan> = {
    redis: planRedis,
    nats: planNats,
    mysql: planMysql,
  };
  return plans[input.program.kind](input);
}

function writePrivate(file: string, lines: readonly string[]): void {
  rmSync(file, { force: true });
  writeFileSync(file, `${lines.join("\n")}\n`, { mode: PRIVATE_FILE_MODE });
}

function planRedis({ folder, credentials, users, port }: ServerPlanInput): ServerPlan {
  const password = credentials.redisPassword;
  const config = join(folder.run, "redis.conf");
  return {
    args: [config],
    cwd: folder.redis,
    url: `redis://:${password}@${LOOPBACK}:${port}/0`,
    prepare: async () => {
      writePrivate(config, [
        `bind ${LOOPBACK}`,
        `port ${port}`,
        `requirepass ${password}`,
        ...redisUserLines(users, credentials),
        `dir "${folder.redis}"`,
        "appendonly yes",
        "appendfsync everysec",
        "aof-use-rdb-preamble yes",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
      ]);
      return Promise.resolve();
    },
    isReady: () => probeRedis({ host: LOOPBACK, port, password }),
  };
}

function planNats({ folder, credentials, users, port }: ServerPlanInput): ServerPlan {
  const password = credentials.natsPassword;
  const config = join(folder.run, "nats.conf");
  const logins = [{ user: USER_NAME, password }, ...natsUsers(users, credentials)];
  return {
    args: ["-c", config],
    cwd: folder.nats,
    url: `nats://${USER_NAME}:${password}@${LOOPBACK}:${port}`,
    prepare: async () => {
      writePrivate(config, [
        `listen: "${LOOPBACK}:${port}"`,
        'server_name: "platform"',
        `jetstream { store_dir: ${JSON.stringify(folder.nats)}, max_file_store: ${JETSTREAM_RESERVATIONS_MAX} }`,
        `authorization { users: ${JSON.stringify(logins)} }`,
      ]);
      return Promise.resolve();
    },
    isReady: () => probeNats({ host: LOOPBACK, port, user: USER_NAME, password }),
  };
}

function planMysql(input: ServerPlanInput): ServerPlan {
  const { program, folder, credentials, port } = input;
  const password = credentials.mysqlPassword;
  const initFile = join(folder.run, "mysql-init.sql");
  const isMariadb = program.flavour === "mariadb";
  const flavourFlags = isMariadb
    ? [`--innodb-log-file-size=${MYSQL_LOG_FILE}`]
    : [`--innodb-redo-log-capacity=${MYSQL_LOG_FILE}`, "--mysqlx=OFF"];
  return {
    args: [
      "--no-defaults",
      ...asRootFlags(),
      `--datadir=${folder.mysql}`,
      "--socket=",
      `--bind-address=${LOOPBACK}`,
      `--port=${port}`,
      `--tmpdir=${temporaryFolderOf(folder)}`,
      `--pid-file=${join(folder.run, "mysqld-own.pid")}`,
      "--skip-name-resolve",
      "--skip-log-bin",
      "--character-set-server=utf8mb4",
      "--collation-server=utf8mb4_unicode_ci",
      "--default-time-zone=+00:00",
      `--innodb-buffer-pool-size=${MYSQL_BUFFER_POOL}`,
      "--innodb-flush-log-at-trx-commit=1",
      `--max-connections=${MYSQL_CONNECTIONS_MAX}`,
      `--init-file=${initFile}`,
      ...flavourFlags,
    ],
    cwd: folder.mysql,
    url: `mysql://${USER_NAME}:${password}@${LOOPBACK}:${port}`,
    prepare: async () => {
      mkdirSync(temporaryFolderOf(folder), { recursive: true, mode: 0o700 });
      await makeMysqlData(input);
      writePrivate(initFile, [
        `CREATE USER IF NOT EXISTS '${USER_NAME}'@'${LOOPBACK}' IDENTIFIED BY '${password}';`,
        `ALTER USER '${USER_NAME}'@'${LOOPBACK}' IDENTIFIED BY '${password}';`,
        `GRANT ALL PRIVILEGES ON *.* TO '${USER_NAME}'@'${LOOPBACK}' WITH GRANT OPTION;`,
      ]);
    },
    isReady: () => probeMysql({ host: LOOPBACK, port, user: USER_NAME, password }),
  };
}

/**
 * A place of its own for temporary tables: a database server that starts removes every temporary table it finds
 * in its folder, and in a shared one those are another server's, in use.
 */
function temporaryFolderOf(folder: DataFolder): string {
  return join(folder.run, "mysql-tmp");
}

function asRootFlags(): string[] {
  return process.getuid?.() === 0 ? ["--user=root"] : [];
}

/**
 * Makes the system tables beside their final place and renames them when they are whole: a first start that
 * was cut short leaves only a folder that the next start throws away.
 */
async function makeMysqlData({ program, folder }: ServerPlanInput): Promise<void> {
  if (existsSync(folder.mysql)) {
    refuseHalfMade(folder);
    return;
  }
  const fresh = `${folder.mysql}.new`;
  rmSync(fresh, { recursive: true, force: true });
  try {
    await installMysqlData(program, folder, fresh);
    renameSync(fresh, folder.mysql);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw explainInstallError(error, folder);
  }
}

function explainInstallError(error: unknown, folder: DataFolder): unknown {
  const { stderr, stdout } = error as { stderr?: string; stdout?: string };
  if (stderr === undefined) return explainFileError(error, folder.mysql);
  const output = `${stdout ?? ""}\n${stderr}`;
  const isDiskFull = /No space left|errno: 28|Errcode: 28/i.test(output);
  if (isDiskFull) return explainFileError({ code: "ENOSPC" }, folder.mysql);
  const logFile = join(folder.log, "mysql-install.log");
  writeFileSync(logFile, output, { mode: PRIVATE_FILE_MODE });
  return new LauncherError(
    "The database's system tables could not be made.",
    `The log of the attempt says why: ${logFile}`,
    { logFile, cause: error },
  );
}

function refuseHalfMade(folder: DataFolder): void {
  if (existsSync(join(folder.mysql, "ibdata1")) && existsSync(join(folder.mysql, "mysql"))) return;
  throw new LauncherError(
    `${folder.mysql} is not a whole database folder (its system tables are missing).`,
    "Put a backup in its place, or move it away: the next start then makes a new, empty one.",
  );
}

async function installMysqlData(
  program: ServerProgram,
  folder: DataFolder,
  target: string,
): Promise<void> {
  const options = {
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: INSTALL_OUTPUT_BYTES_MAX,
    env: { ...process.env, TMPDIR: temporaryFolderOf(folder) },
  };
  if (program.flavour === "mysql") {
    mkdirSync(target, { mode: 0o700 });
    await run(
      program.path,
      ["--no-defaults", ...asRootFlags(), "--initialize-insecure", `--datadir=${target}`],
      options,
    );
    return;
  }
  // No --user here: the script would then change the owner of the system's plugin folder.
  await run(
    installerOf(program),
    [
      "--no-defaults",
      `--datadir=${target}`,
      "--auth-root-authentication-method=socket",
      "--skip-test-db",
      "--skip-name-resolve",
      `--innodb-log-file-size=${MYSQL_LOG_FILE}`,
    ],
    options,
  );
}

function installerOf(program: ServerProgram): string {
  const beside = program.path.replace(/s?bin\/[^/]+$/, "bin/mariadb-install-db");
  return existsSync(beside) ? beside : "mariadb-install-db";
}
