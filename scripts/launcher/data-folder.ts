// The data folder: who may read it, what lies where, whether there is room. Never deletes what it did not make.
import { accessSync, chmodSync, constants, mkdirSync, statfsSync } from "node:fs";
import { join, resolve } from "node:path";
import { LauncherError, explainFileError } from "./launcher-error.ts";

const PRIVATE_MODE = 0o700;
/** A first start needs about 250 MB: the database's log and system tables, Redis and stream files. */
const FREE_BYTES_MIN = 300 * 1024 * 1024;

/** Absolute paths inside one data folder. */
export interface DataFolder {
  root: string;
  run: string;
  log: string;
  redis: string;
  nats: string;
  mysql: string;
  /** Compiled code of the Node processes, kept to start faster. */
  cache: string;
}

export function dataFolderAt(dir: string): DataFolder {
  const root = resolve(dir);
  return {
    root,
    run: join(root, "run"),
    log: join(root, "log"),
    redis: join(root, "redis"),
    nats: join(root, "nats"),
    mysql: join(root, "mysql"),
    cache: join(root, "cache"),
  };
}

/** Makes the folder (mode 0700) and its parts; throws LauncherError when it cannot be used. */
export function openDataFolder(dir: string): DataFolder {
  const folder = dataFolderAt(dir);
  try {
    mkdirSync(folder.root, { recursive: true, mode: PRIVATE_MODE });
    accessSync(folder.root, constants.R_OK | constants.W_OK | constants.X_OK);
    chmodSync(folder.root, PRIVATE_MODE);
    for (const part of [folder.run, folder.log, folder.redis, folder.nats, folder.cache]) {
      mkdirSync(part, { recursive: true, mode: PRIVATE_MODE });
    }
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === "ENOTDIR" ||
      (error as NodeJS.ErrnoException).code === "EEXIST"
    ) {
      throw new LauncherError(
        `${folder.root} cannot be the data folder: a file stands in its place.`,
        "Move that file away, or set DATA_DIR to another folder.",
        { cause: error },
      );
    }
    throw explainFileError(error, folder.root);
  }
  refuseFullDisk(folder);
  return folder;
}

function refuseFullDisk(folder: DataFolder): void {
  const { bavail, bsize } = statfsSync(folder.root);
  const freeBytes = bavail * bsize;
  if (freeBytes >= FREE_BYTES_MIN) return;
  const freeMegabytes = Math.floor(freeBytes / 1024 / 1024);
  throw new LauncherError(
    `The disk that holds ${folder.root} has ${freeMegabytes} MB left, and the servers need ${FREE_BYTES_MIN / 1024 / 1024} MB.`,
    "Free some space there, or set DATA_DIR to a folder on another disk.",
  );
}
