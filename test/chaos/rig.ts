// One platform to be broken: servers of its own, a fault link in front of each, the nodes as the launcher
// runs and supervises them, and more nodes that join them. What looks into the data goes past the links.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import { databaseCredentials, type OwnedSchema } from "../../config/database.ts";
import type { Database } from "../../mixins/database/database.ts";
import { createDatabase } from "../../mixins/database/mysql-database.ts";
import { type DataFolder, dataFolderAt } from "../../scripts/launcher/data-folder.ts";
import type { ServerKind } from "../../scripts/launcher/find-programs.ts";
import { type GuardedProcess, signalPid, startGuarded } from "../../scripts/launcher/guard.ts";
import { inheritedEnvironment } from "../../scripts/launcher/node-process.ts";
import type { RunningServers, ServerProcess } from "../../scripts/launcher/servers.ts";
import { silentLog } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { HttpClient } from "../support/http-client.ts";
import { type FaultyLink, faultyLink } from "../support/faulty-link.ts";
import type { InvariantSource } from "../support/invariants.ts";
import { startThrowAwayServers } from "../support/servers.ts";
import { type Shop, startShop } from "../support/shop.ts";
import { ROOT } from "../support/source.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

/** Time to pay: shorter than a cell, so that unpaid orders are seen to end. */
export const PAYMENT_WINDOW_MS = 8_000;
const NODE_START_TIMEOUT_MS = 120_000;
const AUDITOR_POOL = 4;
/** Everything but the mock provider, which listens on a port of its own. */
const WHOLE_PLATFORM =
  "edge,core,user-worker,product-worker,inventory-worker,order-worker,payment-worker,seckill-worker";

export const ROLE_NAMES = ["edge", "core", "worker"] as const;
export type RoleName = (typeof ROLE_NAMES)[number];
export type LinkName = ServerKind | "provider" | "callbacks";

export interface RigOptions {
  /** The platform reaches its servers without links: it is only loaded, and a link takes its share of the machine. */
  readonly isDirect?: boolean;
  /** Settings of every node. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Sizes in MB of disks that servers' data are put on, each its own; needs the right to mount. */
  readonly disksMb?: Partial<Record<ServerKind, number>>;
}

export interface JoinOptions {
  readonly name: string;
  /** All of the platform when not given. */
  readonly services?: string;
  /** Failpoint at which the node kills itself. */
  readonly crashAt?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** What runs the node, such as a network namespace's shell: words in front of the command. */
  readonly through?: readonly string[];
}

export interface JoinedNode {
  readonly process: GuardedProcess;
  readonly url: string;
  readonly logFile: string;
}

export class Rig {
  readonly servers: RunningServers;
  readonly folder: DataFolder;
  readonly links: Readonly<Record<LinkName, FaultyLink>>;
  readonly shop: Shop;
  /** Reads past every link, with the auditor's rights. */
  readonly source: InvariantSource;
  /** Gateways that customers use, as a balancer in front of them would. */
  readonly doors: string[];
  readonly #auditor: Database;
  readonly #joined: JoinedNode[] = [];

  private constructor(parts: Pick<Rig, "servers" | "folder" | "links" | "shop">) {
    this.servers = parts.servers;
    this.folder = parts.folder;
    this.links = parts.links;
    this.shop = parts.shop;
    this.doors = [parts.shop.url];
    const settings = this.#directSettings();
    this.#auditor = createDatabase({
      ...databaseCredentials(settings, "auditor"),
      poolSize: AUDITOR_POOL,
      log: silentLog,
    });
    this.source = {
      database: () => this.#auditor,
      nameOf: (schema) => `${settings.NAMESPACE}_${schema}`,
    };
  }

  static async start({
    settings = {},
    disksMb = {},
    isDirect = false,
  }: RigOptions = {}): Promise<Rig> {
    const servers = await startThrowAwayServers((dataDir) => {
      mountDisks(dataFolderAt(dataDir), disksMb);
    });
    const links = {
      mysql: await faultyLink(servers.mysqlUrl),
      redis: await faultyLink(servers.redisUrl),
      nats: await faultyLink(servers.natsUrl),
      provider: await faultyLink("http://127.0.0.1"),
      callbacks: await faultyLink("http://127.0.0.1"),
    };
    const shop = await startShop({
      environment: {
        MYSQL_URL: isDirect ? servers.mysqlUrl : links.mysql.url,
        REDIS_URL: isDirect ? servers.redisUrl : links.redis.url,
        NATS_URL: isDirect ? servers.natsUrl : links.nats.url,
        PROVIDER_URL: links.provider.url.replace(/\/$/, ""),
        PUBLIC_URL: links.callbacks.url.replace(/\/$/, ""),
        ORDER_PAYMENT_WINDOW_MS: String(PAYMENT_WINDOW_MS),
        ...settings,
      },
    }).catch(async (error: unknown) => {
      await servers.stop();
      throw error;
    });
    pointToOwnProvider(links, shop);
    links.callbacks.pointTo(Number(new URL(shop.url).port));
    return new Rig({ servers, folder: dataFolderAt(servers.dataDir), links, shop });
  }

  server(kind: ServerKind): ServerProcess {
    const found = this.servers.processes[kind];
    if (found === undefined) throw new Error(`no ${kind} server of our own`);
    return found;
  }

  /** Kills a server and starts it again; `meanwhile` runs while it is away. */
  async killServer(
    kind: ServerKind,
    meanwhile: () => void | Promise<void> = noWork,
  ): Promise<void> {
    await this.server(kind).kill("SIGKILL");
    await meanwhile();
  }

  async startServer(kind: ServerKind): Promise<void> {
    if (!this.server(kind).isRunning()) await this.server(kind).restart();
  }

  pidOf(role: RoleName): number {
    return this.shop.platform.pidOf(role);
  }

  signal(role: RoleName, signal: NodeJS.Signals): void {
    signalPid(this.pidOf(role), signal);
  }

  /** Resolves when the launcher has started the role again; `pid` is that of the process before. */
  async whenBack(role: RoleName, pid: number): Promise<void> {
    await eventually(() => this.pidOf(role) !== pid, {
      timeoutMs: NODE_START_TIMEOUT_MS,
      what: `${role} is started again`,
    });
  }

  /** Resolves when every door answers that it can serve. */
  async whenReady(): Promise<void> {
    await eventually(
      async () => {
        const answers = await Promise.all(
          this.doors.map((url) => new HttpClient(url).get("/readyz")),
        );
        return answers.every(({ status }) => status === 200);
      },
      { timeoutMs: NODE_START_TIMEOUT_MS, what: "every gateway is ready", intervalMs: 100 },
    );
  }

  /** Starts one more node of this platform and resolves when it says that it is up. */
  async join(options: JoinOptions): Promise<JoinedNode> {
    const {
      name,
      services = WHOLE_PLATFORM,
      crashAt = "",
      environment = {},
      through = [],
    } = options;
    const logFile = join(tempFolder(), `${name}.log`);
    const port = String(await findFreePort());
    const [program, ...args] = [
      ...through,
      process.execPath,
      join(ROOT, "test/support/cluster-node.ts"),
    ];
    const started = await startGuarded({
      program,
      args,
      cwd: this.folder.run,
      logFile,
      env: {
        ...inheritedEnvironment(),
        ...this.shop.environment,
        SERVICES: services,
        NODE_ID: `${name}-${randomBytes(3).toString("hex")}`,
        METRICS_PORT: "0",
        PORT: port,
        CRASH_AT: crashAt,
        ...environment,
      },
    });
    const host = environment["HOST"] ?? "127.0.0.1";
    const node = { process: started, url: `http://${host}:${port}`, logFile };
    this.#joined.push(node);
    await eventually(
      () => !started.isRunning() || readFileSync(logFile, "utf8").includes('{"ready":'),
      { timeoutMs: NODE_START_TIMEOUT_MS, what: `${name} has started` },
    );
    return node;
  }

  /** Copies what servers and nodes have logged: it is gone with the rig. */
  keepLogs(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
    cpSync(this.folder.log, join(folder, "servers"), { recursive: true });
    cpSync(this.shop.logFolder, join(folder, "nodes"), { recursive: true });
    for (const { logFile } of this.#joined) cpSync(logFile, join(folder, basename(logFile)));
  }

  /** Ends every node that has joined and closes its door. */
  async partFromJoined(): Promise<void> {
    const joined = this.#joined.splice(0);
    this.doors.length = 1;
    pointToOwnProvider(this.links, this.shop);
    await Promise.all(joined.map((node) => node.process.stop()));
  }

  /** As a balancer does that has noticed. */
  #closeDoorsOfTheDead(): void {
    const dead = this.#joined.filter(({ process }) => !process.isRunning()).map(({ url }) => url);
    const open = this.doors.filter((url) => !dead.includes(url));
    this.doors.splice(0, Infinity, ...open);
  }

  /** A statement with every right, past the link. `{order}` stands for a schema's name. */
  async sql<Row extends object>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    const connection = await createConnection({
      uri: this.servers.mysqlUrl,
      supportBigNumbers: true,
      bigNumberStrings: true,
      timezone: "Z",
      connectTimeout: 2_000,
    });
    try {
      const named = this.qualified(text);
      const [rows] = await connection.query(named, [...params]);
      return rows as Row[];
    } finally {
      connection.destroy();
    }
  }

  qualified(text: string): string {
    return text.replaceAll(/\{([a-z]+)\}/g, (_, name: OwnedSchema) => this.source.nameOf(name));
  }

  /** Commands to Redis, past the link. */
  async redis<T>(work: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(this.servers.redisUrl, {
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    redis.on("error", () => undefined);
    try {
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** Everything is open, runs and answers, whatever was done to it. */
  async heal(): Promise<void> {
    for (const link of Object.values(this.links)) link.mend();
    for (const kind of ["mysql", "redis", "nats"] as const) {
      if (this.server(kind).isRunning()) await this.server(kind).kill("SIGCONT");
      await this.startServer(kind);
    }
    for (const role of ROLE_NAMES) this.signal(role, "SIGCONT");
    this.#closeDoorsOfTheDead();
    await this.whenReady();
  }

  async stop(): Promise<void> {
    await this.partFromJoined();
    const { platform } = this.shop;
    for (const link of Object.values(this.links)) link.mend();
    platform.child.kill("SIGTERM");
    await platform.exited;
    await this.#auditor.close();
    for (const link of Object.values(this.links)) link.close();
    await this.servers.stop();
    unmountDisks(this.folder);
    rmSync(this.folder.root, { recursive: true, force: true });
  }

  #directSettings(): { NAMESPACE: string; MYSQL_URL: string; DATABASE_SECRET: string } {
    const { NAMESPACE = "shop", DATABASE_SECRET = "" } = this.shop.environment;
    return { NAMESPACE, DATABASE_SECRET, MYSQL_URL: this.servers.mysqlUrl };
  }
}

/** The mock provider that runs in the platform's own worker. */
function pointToOwnProvider({ provider }: Rig["links"], { environment }: Shop): void {
  provider.pointTo(Number(environment["PROVIDER_PORT"]));
}

const noWork = (): void => undefined;

/** The database makes its folder itself, so its disk is that of all data. */
const diskOf = (folder: DataFolder, kind: ServerKind): string =>
  kind === "mysql" ? folder.root : folder[kind];

const DISK_ORDER = ["mysql", "redis", "nats"] as const;

/** Puts servers' folders on disks of their own. */
function mountDisks(folder: DataFolder, disksMb: Partial<Record<ServerKind, number>>): void {
  for (const kind of DISK_ORDER) {
    const sizeMb = disksMb[kind];
    if (sizeMb === undefined) continue;
    const target = diskOf(folder, kind);
    mkdirSync(target, { recursive: true, mode: 0o700 });
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m`, "tmpfs", target]);
    if (mounted.status !== 0) throw new Error(`${target} cannot be mounted`);
  }
}

function unmountDisks(folder: DataFolder): void {
  for (const kind of DISK_ORDER.toReversed()) spawnSync("umount", ["-l", diskOf(folder, kind)]);
}

/** Fills the disk that a server's data are on, and answers how to empty it again. */
export function fillDisk(folder: string): () => void {
  const ballast = join(folder, "ballast");
  spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=64k"]);
  return () => rmSync(ballast, { force: true });
}

/** Adds a line to a server's configuration; it counts from the next start on. */
export function appendConfig(file: string, line: string): void {
  if (existsSync(file))
    writeFileSync(file, `${readFileSync(file, "utf8")}${line}\n`, { mode: 0o600 });
}
