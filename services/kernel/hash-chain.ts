// The hash of an ordered log, which can be carried on from any entry: h(0) is 64 zeros,
// h(n) = SHA-256(h(n-1) in hex + "\n" + entry n). Changing, dropping or moving an entry changes it.
import { hash } from "node:crypto";

export const EMPTY_LOG_HASH = "0".repeat(64);

/** @returns 64 hex digits. */
export function chainHash(previous: string, entry: string): string {
  return hash("sha256", `${previous}\n${entry}`);
}
