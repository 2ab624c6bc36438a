// A Redis in memory as the product's gate uses it, under the product's own gate. The scripts of the
// sale's gate are written a second time here, and must answer what the real ones answer
// (test/integration/simulation-conformance.test.ts holds them to it).
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { FAULTS } from "../kernel/fault-plan.ts";
import type { Network } from "../kernel/remote.ts";
import type { Process } from "../kernel/simulation.ts";
import { GATE_SCRIPTS, type GateScript } from "./gate-scripts.ts";

const COMMAND_TIMEOUT_MS = 300;
const RECONNECT_MS = 50;
const US_PER_MS = 1_000;

export type RedisValue = string | Map<string, string>;

/** The server: what it holds, which run of it this is. */
export class RedisServer {
  readonly values = new Map<string, RedisValue>();
  readonly #expiries = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  /** Milliseconds since the Unix epoch, with their fraction. */
  readonly wallMs: () => number;
  #runs = 0;

  constructor(wallMs: () => number) {
    this.wallMs = wallMs;
  }

  get runId(): string {
    return this.#runs.toString(16).padStart(8, "0");
  }

  /** Everything is gone, and every connection with it. */
  restart(): void {
    this.#runs += 1;
    this.values.clear();
    this.#expiries.clear();
    for (const listener of [...this.#listeners]) listener();
  }

  onRestart(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(key: string): RedisValue | undefined {
    const expiry = this.#expiries.get(key);
    if (expiry !== undefined && expiry <= this.wallMs()) {
      this.values.delete(key);
      this.#expiries.delete(key);
    }
    return this.values.get(key);
  }

  text(key: string): string | null {
    const value = this.get(key);
    return typeof value === "string" ? value : null;
  }

  hash(key: string): Map<string, string> {
    const value = this.get(key);
    return value instanceof Map ? value : new Map<string, string>();
  }

  write(key: string, fields: readonly (readonly [string, string])[]): void {
    const hash = this.hash(key);
    for (const [field, value] of fields) hash.set(field, value);
    this.values.set(key, hash);
  }

  erase(key: string, fields: readonly string[]): number {
    const hash = this.hash(key);
    const erased = fields.filter((field) => hash.delete(field)).length;
    if (hash.size === 0) this.drop(key);
    return erased;
  }

  set(key: string, value: string, expiresAtMs?: number): void {
    this.drop(key);
    this.values.set(key, value);
    if (expiresAtMs !== undefined) this.expire(key, expiresAtMs);
  }

  expire(key: string, atMs: number): void {
    if (this.values.has(key)) this.#expiries.set(key, atMs);
  }

  drop(key: string): void {
    this.values.delete(key);
    this.#expiries.delete(key);
  }
}

function scriptsBySha(): ReadonlyMap<string, { readonly name: string; readonly run: GateScript }> {
  return new Map(
    Object.entries(GATE_SCRIPTS).map(([name, run]) => {
      const text = readFileSync(
        new URL(`../../../lua/seckill/${name}.lua`, import.meta.url),
        "utf8",
      );
      return [createHash("sha1").update(text).digest("hex"), { name, run }];
    }),
  );
}

const SCRIPTS = scriptsBySha();

/** The part of an ioredis client that the gate uses. */
export function simulatedRedis(network: Network, server: RedisServer, process: Process): Redis {
  return new Client(network, server, process) as unknown as Redis;
}

type Listener = () => void;

class Client {
  status = "ready";
  readonly options = { commandTimeout: COMMAND_TIMEOUT_MS };
  readonly #network: Network;
  readonly #server: RedisServer;
  readonly #listeners = new Map<string, Listener[]>();

  constructor(network: Network, server: RedisServer, process: Process) {
    this.#network = network;
    this.#server = server;
    const forget = server.onRestart(() => this.#reconnect(process));
    process.onDeath(forget);
  }

  on(event: string, listener: Listener): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  #emit(event: string): void {
    for (const listener of this.#listeners.get(event) ?? []) listener();
  }

  #reconnect(process: Process): void {
    const { simulation } = this.#network;
    this.status = "close";
    simulation.as(process, () => this.#emit("close"));
    simulation.schedule(RECONNECT_MS, process, () => {
      this.status = "ready";
      simulation.as(process, () => this.#emit("ready"));
    });
  }

  #command<T>(name: string, effect: () => T): Promise<T> {
    if (this.status !== "ready") return Promise.reject(new Error("Stream isn't writeable"));
    return this.#network.call<T>({
      label: `gate ${name}`,
      faults: FAULTS,
      effect,
      timeoutMs: COMMAND_TIMEOUT_MS,
      timedOut: () => new Error("Command timed out"),
      refused: () => {
        this.#server.restart();
        return new Error("Connection is closed.");
      },
    });
  }

  info(): Promise<string> {
    return this.#command("info", () => {
      const us = Math.floor(this.#server.wallMs() * US_PER_MS);
      return `# Server\r\nrun_id:${this.#server.runId}\r\nserver_time_usec:${us}\r\n`;
    });
  }

  evalsha(sha: string, keyCount: number, ...list: readonly (string | number)[]): Promise<unknown> {
    const script = SCRIPTS.get(sha);
    if (script === undefined) return Promise.reject(new Error("NOSCRIPT"));
    const texts = list.map(String);
    return this.#command(script.name, () =>
      script.run(this.#server, texts.slice(0, keyCount), texts.slice(keyCount)),
    );
  }

  hget(key: string, field: string): Promise<string | null> {
    return this.#command("hget", () => this.#server.hash(key).get(field) ?? null);
  }

  hdel(key: string, ...fields: readonly string[]): Promise<number> {
    return this.#command("hdel", () => this.#server.erase(key, fields));
  }

  hscan(key: string): Promise<[string, string[]]> {
    return this.#command("hscan", () => ["0", [...this.#server.hash(key)].flat()]);
  }

  unlink(keys: readonly string[]): Promise<number> {
    return this.#command("unlink", () => {
      for (const key of keys) this.#server.drop(key);
      return keys.length;
    });
  }

  set(key: string, value: string, _unit: "PX", ms: number): Promise<"OK"> {
    return this.#command("set", () => {
      this.#server.set(key, value, this.#server.wallMs() + ms);
      return "OK";
    });
  }

  mget(keys: readonly string[]): Promise<(string | null)[]> {
    return this.#command("mget", () => keys.map((key) => this.#server.text(key)));
  }
}
