// Private Redis, NATS JetStream and MariaDB/MySQL servers in one data folder, on loopback ports, with credentials.
// It never touches a server it did not start, and nothing it starts outlives the process that started it.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ServerCredentials } from "./credentials.ts";
import { randomServerCredentials } from "./credentials.ts";
import type { DataFolder } from "./data-folder.ts";
import { openDataFolder } from "./data-folder.ts";
import type { ServerKind, ServerProgram } from "./find-programs.ts";
import { SERVER_KINDS, findServer, urlSettingOf } from "./find-programs.ts";
import type { GuardedProcess } from "./guard.ts";
import { startGuarded } from "./guard.ts";
import { LauncherError } from "./launcher-error.ts";
import { PortBook } from "./ports.ts";
import type { ServerPlan } from "./server-plans.ts";
import { planServer } from "./server-plans.ts";
import type { ServerUser } from "./server-users.ts";
import { endStaleProcess, forgetPid, recordPid } from "./stale-processes.ts";
import { waitUntil } from "./wait-until.ts";

const READY_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 10_000;
/** Another program may take a free port between our look and the server's bind. */
const PORT_TRIES_MAX = 5;

export interface ServersOptions {
  dataDir: string;
  /** Random ones when not given: right for throw-away folders only, the data keeps no copy of them. */
  credentials?: ServerCredentials;
  /** URLs of servers that run already; none of these kinds is started. */
  given?: Partial<Record<ServerKind, string>>;
  /** Logins beside the one of the answered URLs. */
  users?: readonly ServerUser[];
}

/** One private server; the same port, data and credentials over every restart. */
export interface ServerProcess {
  readonly kind: ServerKind;
  readonly program: ServerProgram;
  readonly port: number;
  readonly url: string;
  readonly logFile: string;
  /** Process id of the server itself; a new one after each restart. */
  readonly pid: number;
  isRunning(): boolean;
  /** Sends a signal. For SIGKILL and SIGTERM it resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Stops the server if it runs, starts it again and resolves when it answers. */
  restart(): Promise<void>;
  /** SIGTERM, after 10 s SIGKILL. */
  stop(): Promise<void>;
  /** Resolves when the present process ends, wanted or not. */
  readonly exited: Promise<unknown>;
}

export interface RunningServers {
  mysqlUrl: string;
  redisUrl: string;
  natsUrl: string;
  /** The servers that were started here: none for a kind whose URL was given. */
  processes: Partial<Record<ServerKind, ServerProcess>>;
  /** Stops NATS, then Redis, then the database. */
  stop(): Promise<void>;
}

/** Starts what is not given, all at once, and resolves when every server answers with its credentials. */
export async function startServers(options: ServersOptions): Promise<RunningServers> {
  const given = options.given ?? {};
  const folder = openDataFolder(options.dataDir);
  const credentials = options.credentials ?? randomServerCredentials();
  const users = options.users ?? [];
  const ports = new PortBook(folder.root);
  const wanted = SERVER_KINDS.filter((kind) => given[kind] === undefined);
  const outcomes = await Promise.allSettled(
    wanted.map(async (kind) => startOne(kind, { folder, credentials, users, ports })),
  );
  const processes: Partial<Record<ServerKind, ServerProcess>> = {};
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") processes[outcome.value.kind] = outcome.value;
  }
  const stop = async (): Promise<void> => {
    for (const kind of ["nats", "redis", "mysql"] as const) await processes[kind]?.stop();
  };
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const urlOf = (kind: ServerKind): string => {
    const url = given[kind] ?? processes[kind]?.url;
    if (url === undefined) throw new Error(`no ${kind} server`);
    return url;
  };
  return {
    mysqlUrl: urlOf("mysql"),
    redisUrl: urlOf("redis"),
    natsUrl: urlOf("nats"),
    processes,
    stop,
  };
}

interface StartContext {
  folder: DataFolder;
  credentials: ServerCredentials;
  users: readonly ServerUser[];
  ports: PortBook;
}

async function startOne(kind: ServerKind, context: StartContext): Promise<ServerProcess> {
  const { folder, credentials, users, ports } = context;
  await endStaleProcess(folder, kind);
  const program = await findServer(kind);
  if (program === null) {
    throw new LauncherError(
      `No ${kind} server program was found.`,
      `Install one, or set ${urlSettingOf(kind)} to a server that runs already.`,
      { exitCode: 2 },
    );
  }
  for (let tryNumber = 1; ; tryNumber += 1) {
    const port = await (tryNumber === 1 ? ports.take(kind) : ports.renew(kind));
    const plan = planServer({ program, folder, credentials, users, port });
    await plan.prepare();
    const server = new PrivateServer({ program, plan, folder, port });
    try {
      await server.start();
      return server;
    } catch (error) {
      if (tryNumber >= PORT_TRIES_MAX || !server.hasLostItsPort()) throw error;
    }
  }
}

interface PrivateServerInput {
  program: ServerProgram;
  plan: ServerPlan;
  folder: DataFolder;
  port: number;
}

class PrivateServer implements ServerProcess {
  readonly kind: ServerKind;
  readonly program: ServerProgram;
  readonly port: number;
  readonly url: string;
  readonly logFile: string;
  readonly #plan: ServerPlan;
  readonly #folder: DataFolder;
  #process: GuardedProcess | null = null;
  #logSizeAtStart = 0;

  constructor({ program, plan, folder, port }: PrivateServerInput) {
    this.kind = program.kind;
    this.program = program;
    this.port = port;
    this.url = plan.url;
    this.logFile = join(folder.log, `${program.kind}.log`);
    this.#plan = plan;
    this.#folder = folder;
  }

  get pid(): number {
    return this.#current().pid;
  }

  get exited(): Promise<unknown> {
    return this.#current().exited;
  }

  isRunning(): boolean {
    return this.#process?.isRunning() ?? false;
  }

  async start(): Promise<void> {
    this.#logSizeAtStart = this.#log().length;
    const started = await startGuarded({
      program: this.program.path,
      args: this.#plan.args,
      cwd: this.#plan.cwd,
      logFile: this.logFile,
    });
    this.#process = started;
    recordPid(this.#folder, this.kind, started.pid);
    const isReadyOrGone = async (): Promise<boolean> =>
      !started.isRunning() || (await this.#plan.isReady());
    const isDecided = await waitUntil(isReadyOrGone, { timeoutMs: READY_TIMEOUT_MS });
    if (isDecided && started.isRunning()) return;
    await this.stop();
    throw new LauncherError(
      isDecided
        ? `${this.program.flavour} ended while it was starting.`
        : `${this.program.flavour} did not answer within ${READY_TIMEOUT_MS / 1000} s.`,
      `Its log says why: ${this.logFile}`,
      { logFile: this.logFile },
    );
  }

  /** True when the log of the present start says that the port belongs to another program. */
  hasLostItsPort(): boolean {
    const log = this.#log().subarray(this.#logSizeAtStart).toString("latin1");
    return /address already in use/i.test(log);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const current = this.#current();
    current.signal(signal);
    if (signal === "SIGKILL" || signal === "SIGTERM") await current.waitForExit();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    if (this.#process === null) return;
    await this.#process.stop(STOP_GRACE_MS);
    forgetPid(this.#folder, this.kind);
  }

  #current(): GuardedProcess {
    if (this.#process === null) throw new Error(`${this.kind} was never started`);
    return this.#process;
  }

  #log(): Buffer {
    return existsSync(this.logFile) ? readFileSync(this.logFile) : Buffer.alloc(0);
  }
}
