// A Redis client that fails fast: a command that cannot be sent now is refused, one without an
// answer in time is given up, and nothing is ever sent a second time behind the caller's back.
// A time-out does not undo the command: what is sent must be idempotent by an id the caller gives.
import { type Command, Redis } from "ioredis";
import { scriptName } from "../../lua/script.ts";
import { currentContext } from "../context.ts";
import type { Log } from "../log.ts";
import type { ObservedCommand } from "../metrics/observed-command.ts";
import { sentinelOptions } from "./redis-address.ts";

export interface RedisOptions {
  /** Shown in CLIENT LIST and in log lines. */
  readonly name: string;
  readonly log: Log;
  /** Milliseconds until a command without an answer rejects. */
  readonly commandTimeoutMs?: number;
  /** Sends the commands of one event-loop turn together; for clients of many small reads. */
  readonly isAutoPipelined?: boolean;
  /** Told of every command that was answered or failed. */
  readonly onCommand?: CommandObserver | undefined;
}

export type CommandObserver = (command: ObservedCommand) => void;

const COMMAND_TIMEOUT_MS = 300;
const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_STEP_MS = 50;
const RECONNECT_DELAY_MS_MAX = 1_000;
const KEEP_ALIVE_MS = 10_000;

/** Connects in the background and reconnects for ever; commands reject while it is not connected. */
export function createRedis(url: string, options: RedisOptions): Redis {
  const sentinels = sentinelOptions(url);
  const settings = {
    connectionName: options.name.replaceAll(/[^A-Za-z0-9_.-]/g, "_"),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    enableAutoPipelining: options.isAutoPipelined ?? false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: (attempt: number) =>
      Math.min(attempt * RECONNECT_STEP_MS, RECONNECT_DELAY_MS_MAX),
  };
  const client =
    sentinels === undefined ? new Redis(url, settings) : new Redis({ ...settings, ...sentinels });
  if (options.onCommand !== undefined) observeCommands(client, options.onCommand);
  let isAway = false;
  // An "error" event without a listener would end the process; one line per outage is enough.
  client.on("error", (error: Error) => {
    if (!isAway) options.log.warn({ err: error, redis: options.name }, "redis is away");
    isAway = true;
  });
  client.on("ready", () => {
    if (isAway) options.log.info({ redis: options.name }, "redis is back");
    isAway = false;
  });
  return client;
}

/** Every command goes through sendCommand, whichever way it was given: alone or in a pipeline. */
function observeCommands(client: Redis, observe: CommandObserver): void {
  const send = client.sendCommand.bind(client);
  client.sendCommand = (command: Command, stream) => {
    const startedAt = performance.now();
    const context = currentContext();
    const name = scriptName(command.args[0]) ?? command.name;
    const tell = (isOk: boolean) => (): void => {
      observe({ name, ms: performance.now() - startedAt, isOk, context });
    };
    (command.promise as Promise<unknown>).then(tell(true), tell(false));
    return send(command, stream);
  };
}

/** Resolves when the client is connected or `timeoutMs` have passed; true when it is connected. */
export async function whenRedisReady(client: Redis, timeoutMs: number): Promise<boolean> {
  if (client.status === "ready") return true;
  return await new Promise((resolve) => {
    const settle = (isReady: boolean) => {
      clearTimeout(timer);
      client.off("ready", onReady);
      resolve(isReady);
    };
    const onReady = () => settle(true);
    const timer = setTimeout(() => settle(false), timeoutMs);
    client.on("ready", onReady);
  });
}
