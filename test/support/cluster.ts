// A cluster of separate node processes on the shared servers, under a namespace of its own: started,
// killed and started again one by one, as an operator of several machines would.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startGuarded, type GuardedProcess } from "../../scripts/launcher/guard.ts";
import { inheritedEnvironment } from "../../scripts/launcher/node-process.ts";
import { migrate } from "../../migrations/migrate.ts";
import { eventually } from "./eventually.ts";
import { testServers } from "./servers.ts";
import { ADMIN_EMAIL, ADMIN_PASSWORD, WEBHOOK_SECRET } from "./shop.ts";
import { ROOT } from "./source.ts";
import { tempFolder } from "./temp-folder.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const START_TIMEOUT_MS = 30_000;
const READY_TIMEOUT_MS = 30_000;

export interface ClusterNode {
  readonly name: string;
  readonly process: GuardedProcess;
  /** Public URL, of a node that runs a gateway. */
  readonly url: string;
  readonly logFile: string;
}

export interface NodeOptions {
  readonly name: string;
  readonly services: string;
  /** Failpoint at which the node kills itself. */
  readonly crashAt?: string;
  /** Settings of this node alone. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Another folder to run in than the cluster's own, and what Node is told there. */
  readonly entry?: { readonly folder: string; readonly args: readonly string[] };
}

export class Cluster {
  readonly #environment: Readonly<Record<string, string>>;
  readonly #folder = tempFolder();
  readonly #nodes: ClusterNode[] = [];

  private constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment;
  }

  /** A namespace of its own on the shared servers, with all schemas. */
  static async create(settings: Readonly<Record<string, string>> = {}): Promise<Cluster> {
    const servers = await testServers();
    const environment = {
      NAMESPACE: `c${randomBytes(5).toString("hex")}`,
      MYSQL_URL: servers.mysqlUrl,
      REDIS_URL: servers.redisUrl,
      NATS_URL: servers.natsUrl,
      DATABASE_SECRET: randomBytes(32).toString("hex"),
      JWT_SECRET: randomBytes(32).toString("hex"),
      PAYMENT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ADMIN_EMAIL,
      ADMIN_PASSWORD,
      TRUSTED_PROXIES: "127.0.0.1",
      PROVIDER_PORT: String(await findFreePort()),
      PORT: String(await findFreePort()),
      ...settings,
    };
    const { NAMESPACE, MYSQL_URL, DATABASE_SECRET } = environment;
    await migrate({ NAMESPACE, MYSQL_URL, DATABASE_SECRET });
    return new Cluster(environment);
  }

  /** Resolves when every service of the node has started. */
  async start(options: NodeOptions): Promise<ClusterNode> {
    const { name, services, crashAt = "", settings = {} } = options;
    const args = options.entry?.args ?? [join(ROOT, "test/support/cluster-node.ts")];
    const port = settings["PORT"] ?? this.#environment["PORT"] ?? "";
    const logFile = join(this.#folder, `${name}-${randomBytes(3).toString("hex")}.log`);
    const started = await startGuarded({
      program: process.execPath,
      args,
      cwd: options.entry?.folder ?? this.#folder,
      logFile,
      env: {
        ...inheritedEnvironment(),
        ...this.#environment,
        SERVICES: services,
        NODE_ID: `${name}-${randomBytes(3).toString("hex")}`,
        CRASH_AT: crashAt,
        ...settings,
      },
    });
    const node = { name, process: started, url: `http://127.0.0.1:${port}`, logFile };
    this.#nodes.push(node);
    await eventually(() => readFileSync(logFile, "utf8").includes('{"ready":'), {
      timeoutMs: START_TIMEOUT_MS,
      what: `node ${name} starts`,
    }).catch((error: unknown) => {
      throw new Error(`${name}: ${readFileSync(logFile, "utf8").slice(-2_000)}`, { cause: error });
    });
    return node;
  }

  /** Resolves when the gateway of `node` finds everything it needs. */
  async ready({ url }: ClusterNode): Promise<void> {
    await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, {
      timeoutMs: READY_TIMEOUT_MS,
      what: `${url} is ready`,
      intervalMs: 100,
    });
  }

  /** What every node is told. */
  get environment(): Readonly<Record<string, string>> {
    return this.#environment;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.process.stop()));
  }
}
