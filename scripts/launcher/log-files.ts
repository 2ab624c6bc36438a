// Log files of the processes: their last lines for the operator, and rotation by size. Processes write with
// O_APPEND and never reopen their file, so a full file is copied away and cut to nothing in place.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { copyFile, rename, stat, truncate } from "node:fs/promises";

const TAIL_BYTES_MAX = 64 * 1024;
const TAIL_LINE_LENGTH_MAX = 400;
const LOG_BYTES_MAX = 16 * 1024 * 1024;
const OLD_LOGS_KEPT = 4;
const ROTATION_INTERVAL_MS = 10_000;

export interface RotationLimits {
  /** Size in bytes from which a file is rotated. */
  bytesMax: number;
  /** How many older files are kept beside it, as `<file>.1` (newest) to `<file>.N`. */
  filesKept: number;
}

const DEFAULT_LIMITS: RotationLimits = { bytesMax: LOG_BYTES_MAX, filesKept: OLD_LOGS_KEPT };

/** Size of the file in bytes, 0 when there is none. */
export function logSize(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** Text of the file from this byte on, at most its last 64 KiB; empty when there is no file. */
export function readLogFrom(file: string, offset: number): string {
  const size = logSize(file);
  const start = Math.max(offset > size ? 0 : offset, size - TAIL_BYTES_MAX);
  if (size <= start) return "";
  const buffer = Buffer.alloc(size - start);
  const handle = openSync(file, "r");
  try {
    const length = readSync(handle, buffer, 0, buffer.length, start);
    return buffer.subarray(0, length).toString("utf8");
  } finally {
    closeSync(handle);
  }
}

/** The last lines of a log that are not empty, each cut to what a screen can show. */
export function lastLines(file: string, count: number, offset = 0): string[] {
  const lines = readLogFrom(file, offset)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines
    .slice(-count)
    .map((line) =>
      line.length > TAIL_LINE_LENGTH_MAX ? `${line.slice(0, TAIL_LINE_LENGTH_MAX)}…` : line,
    );
}

/** Rotates one file when it is too large; true when it did. */
export async function rotateLog(
  file: string,
  { bytesMax, filesKept }: RotationLimits = DEFAULT_LIMITS,
): Promise<boolean> {
  const size = (await stat(file).catch(() => null))?.size ?? 0;
  if (size < bytesMax) return false;
  for (let age = filesKept - 1; age >= 1; age -= 1) {
    await rename(`${file}.${age}`, `${file}.${age + 1}`).catch(() => undefined);
  }
  await copyFile(file, `${file}.1`);
  await truncate(file);
  return true;
}

/** Looks after the files every 10 s without keeping the event loop alive; returns the function that ends it. */
export function keepLogsSmall(files: () => readonly string[]): () => void {
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    // A full disk or a file that is gone must not end the launcher: the next turn tries again.
    void Promise.allSettled(files().map((file) => rotateLog(file))).then(() => (isBusy = false));
  }, ROTATION_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
