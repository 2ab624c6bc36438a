// How the processes of floor F reach each other.
import type { ConnectionOptions } from "nats";
import type { FloorAnswer } from "./floor-buyers.ts";

export type AdmitReply = readonly FloorAnswer[];

/** What one commit tells the worker. */
export interface FloorAdmitted {
  readonly sale: string;
  /** Order id and user id in turn. */
  readonly orders: readonly string[];
}

export function admitSubject(namespace: string): string {
  return `${namespace}.bench.admit`;
}

export function hintSubject(namespace: string): string {
  return `${namespace}.bench.hint`;
}

export function natsOptions(natsUrl: string): ConnectionOptions {
  const { host, username, password } = new URL(natsUrl);
  const pass = decodeURIComponent(password);
  return { servers: host, ...(username === "" ? {} : { user: username, pass }) };
}
