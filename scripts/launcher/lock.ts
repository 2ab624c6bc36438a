// One launcher per data folder. The lock is a listening socket in the folder: the kernel gives it back when the
// launcher dies, however it dies, and who comes second asks it where the first one runs.
import { createHash } from "node:crypto";
import { chmodSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { DataFolder } from "./data-folder.ts";
import { LauncherError } from "./launcher-error.ts";

const ANSWER_TIMEOUT_MS = 2_000;
/** Kernel limit of a socket's path is 108 bytes with its final zero (104 on macOS). */
const SOCKET_PATH_BYTES_MAX = 100;
const TAKE_OVER_TRIES_MAX = 50;
const TAKE_OVER_PAUSE_MS = 100;
/** A claim older than this belongs to a launcher that was killed while it took the lock over. */
const CLAIM_AGE_MAX_MS = 10_000;

export type PlatformState = "starting" | "running" | "stopping";

export interface LauncherStatus {
  pid: number;
  state: PlatformState;
  /** Public URL of the gateway. */
  url: string;
}

export type LockOutcome =
  { isMine: true; release: () => Promise<void> } | { isMine: false; owner: LauncherStatus };

/** Takes the folder's lock, or tells who has it. `status` is asked each time another launcher knocks. */
export async function takeLock(
  folder: DataFolder,
  status: () => LauncherStatus,
): Promise<LockOutcome> {
  const path = controlSocketOf(folder);
  for (let tryNumber = 1; tryNumber <= TAKE_OVER_TRIES_MAX; tryNumber += 1) {
    const owner = await askOwner(path);
    if (owner !== null) return { isMine: false, owner };
    const server = await tryTakeOver(path, status);
    if (server !== null) return { isMine: true, release: () => close(server) };
    await delay(TAKE_OVER_PAUSE_MS);
  }
  throw new LauncherError(
    `Another start of ${folder.root} is under way and does not finish.`,
    `Try again in a moment; if nothing else runs, delete ${path}.claim.`,
  );
}

/** The status of the launcher that holds this folder's lock, or null when none does. */
export async function findRunning(folder: DataFolder): Promise<LauncherStatus | null> {
  return await askOwner(controlSocketOf(folder));
}

export function controlSocketOf(folder: DataFolder): string {
  const path = join(folder.run, "control.sock");
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  const name = createHash("sha256").update(folder.root).digest("hex").slice(0, 24);
  return join(process.env["XDG_RUNTIME_DIR"] ?? tmpdir(), `platform-${name}.sock`);
}

function claimTakeOver(claim: string): boolean {
  try {
    writeFileSync(claim, String(process.pid), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const age = Date.now() - (statSync(claim, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (age > CLAIM_AGE_MAX_MS) rmSync(claim, { force: true });
  return false;
}

/** Only the holder of the claim may remove a dead socket, else two could remove each other's live one. */
async function tryTakeOver(path: string, status: () => LauncherStatus): Promise<Server | null> {
  const claim = `${path}.claim`;
  if (!claimTakeOver(claim)) return null;
  try {
    return (await askOwner(path)) === null ? await takeOver(path, status) : null;
  } finally {
    rmSync(claim, { force: true });
  }
}

async function takeOver(path: string, status: () => LauncherStatus): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end(JSON.stringify(status()));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

/** Null when nobody listens. A listener that does not answer in time still counts as an owner. */
async function askOwner(path: string): Promise<LauncherStatus | null> {
  return await new Promise((resolve) => {
    const socket = connect({ path });
    let isConnected = false;
    let text = "";
    const finish = (): void => {
      socket.destroy();
      resolve(isConnected ? parseStatus(text) : null);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, finish);
    socket.once("connect", () => void (isConnected = true));
    socket.on("data", (chunk) => void (text += chunk.toString("utf8")));
    socket.once("end", finish);
    socket.once("error", finish);
  });
}

function parseStatus(text: string): LauncherStatus {
  try {
    return JSON.parse(text) as LauncherStatus;
  } catch {
    return { pid: 0, state: "starting", url: "" };
  }
}
