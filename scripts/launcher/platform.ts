// One running platform: data folder, servers, schema, node processes, demo data, in this order; and the way back.
// Each part is recorded as soon as it is started, so that a stop at any moment finds all of it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Role, ROLES } from "../../config/roles.ts";
import type { Settings } from "../../config/schema.ts";
import { DEMO_PRODUCTS } from "../demo/catalogue.ts";
import type { DataFolder } from "./data-folder.ts";
import type { ServerKind } from "./find-programs.ts";
import { SERVER_KINDS, findServer } from "./find-programs.ts";
import type { GuardedProcess } from "./guard.ts";
import { installPrograms } from "./install-programs.ts";
import { LauncherError } from "./launcher-error.ts";
import type { PlatformState } from "./lock.ts";
import { keepLogsSmall } from "./log-files.ts";
import { NodeProcess } from "./node-process.ts";
import { PortBook, isPortFree } from "./ports.ts";
import type { Progress, Step } from "./progress.ts";
import { countProducts, isAnswering } from "./readiness.ts";
import type { ProcessState } from "./run-state.ts";
import { removeRunState, writePlatformEnv, writeRunState } from "./run-state.ts";
import { runScript } from "./run-script.ts";
import type { Secrets } from "./secrets.ts";
import type { RunningServers, ServerProcess } from "./servers.ts";
import { startServers } from "./servers.ts";
import { serverUser, urlAs, withoutLogin } from "./server-users.ts";
import {
  checkSettings,
  givenServers,
  namedSettings,
  serverCredentials,
  settingSecrets,
} from "./start-settings.ts";
import type { SupervisedProcess, SupervisorOptions } from "./supervisor.ts";
import { Supervisor } from "./supervisor.ts";
import { waitUntil } from "./wait-until.ts";

const READYZ_TIMEOUT_MS = 30_000;
const LOOPBACK = "127.0.0.1";
/** The role that all customers go through: in a flood it would wait for those who work for the others (ADR 14). */
const ENTRANCE: Role = "edge";
const ENTRANCE_NICE = -5;
/** Addresses that mean "every address": the operator reaches them as localhost. */
const EVERY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::", LOOPBACK, "localhost"]);

export interface PlatformOptions {
  sourceDir: string;
  folder: DataFolder;
  secrets: Secrets;
  progress: Progress;
  /** A node process that ends waits for the next change of the source code instead of coming back. */
  isDev: boolean;
  /** A process ended too often: the platform cannot go on by itself. */
  onGiveUp: (error: LauncherError) => void;
}

export class Platform {
  state: PlatformState = "starting";
  readonly settings: Settings;
  readonly #options: PlatformOptions;
  readonly #serverSupervisor: Supervisor;
  readonly #nodeSupervisor: Supervisor;
  readonly #startedAt = new Date();
  #port = 0;
  #servers: RunningServers | null = null;
  #startingServers: Promise<RunningServers> | null = null;
  /** The script a step runs now. */
  #script: GuardedProcess | null = null;
  #nodes: NodeProcess[] = [];
  #environment: Record<string, string> = {};
  #endLogWatch: () => void = () => undefined;

  constructor(options: PlatformOptions) {
    this.#options = options;
    this.settings = checkSettings(process.env, options.secrets);
    this.#port = this.settings.PORT;
    const handlers: SupervisorOptions = {
      onCrash: (crashed, backoffMs) => this.#reportCrash(crashed, backoffMs),
      onRestart: () => this.#writeState(),
      onGiveUp: (crashed) => this.#giveUp(crashed),
    };
    this.#serverSupervisor = new Supervisor(handlers);
    this.#nodeSupervisor = new Supervisor(
      options.isDev ? { ...handlers, crashesMax: 0 } : handlers,
    );
  }

  /** Public URL of the gateway. */
  get url(): string {
    const host = EVERY_ADDRESS.has(this.settings.HOST) ? "localhost" : this.settings.HOST;
    return `http://${host}:${this.#port}`;
  }

  /** From nothing to a usable shop. */
  async start(): Promise<void> {
    await this.#takePublicPort();
    await this.#step("programs", (step) => this.#findPrograms(step));
    await this.#step("servers", () => this.#startServers());
    await this.#step("database", () => this.#runScript("migrate", "migrations/migrate.ts"));
    await this.#step("services", (step) => this.#startNodes(step));
    if (this.#wantsDemoData()) {
      await this.#step("demo data", () => this.#loadDemoData());
    }
    this.#refuseWhenStopping();
    this.state = "running";
  }

  /** The gateway drains first, then the services finish, then the servers end. Safe at any moment. */
  async stop(): Promise<void> {
    this.state = "stopping";
    this.#serverSupervisor.stop();
    this.#nodeSupervisor.stop();
    this.#endLogWatch();
    removeRunState(this.#options.folder);
    const [first, ...others] = this.#nodes;
    await this.#script?.stop();
    await first?.stop();
    await Promise.all(others.map((node) => node.stop()));
    // A start under way cannot be cut short half-way without leaving some of it behind.
    const servers = await this.#startingServers?.catch(() => null);
    await servers?.stop();
  }

  /** Ends the node processes at once; the guards end the servers when we are gone. */
  kill(): void {
    for (const node of this.#nodes) node.kill();
  }

  /** Restarts every node process, for a change of the source code. */
  async restartNodes(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => this.#nodeSupervisor.restart(node)));
    await Promise.all(this.#nodes.map((node) => node.waitUntilReady()));
  }

  async #step(name: string, work: (step: Step) => Promise<string>): Promise<void> {
    this.#refuseWhenStopping();
    await this.#options.progress.step(name, work);
  }

  /** A stop that came during a step: nothing more may be started. */
  #refuseWhenStopping(): void {
    if (this.state === "stopping") throw new Error("stopping");
  }

  async #takePublicPort(): Promise<void> {
    if (!this.#servesHttp()) return;
    const { PORT: port, HOST: host } = this.settings;
    if (port === 0) {
      this.#port = await new PortBook(this.#options.folder.root).take("gateway");
      return;
    }
    if (await isPortFree(port, host)) return;
    throw new LauncherError(
      `Port ${port} is taken by another program (or this user may not listen on ${host}:${port}).`,
      `End that program, or choose another port: PORT=${port + 1} npm start`,
    );
  }

  async #findPrograms(step: Step): Promise<string> {
    const given = givenServers(process.env);
    const wanted = SERVER_KINDS.filter((kind) => given[kind] === undefined);
    const missing: ServerKind[] = [];
    for (const kind of wanted) if ((await findServer(kind)) === null) missing.push(kind);
    if (missing.length > 0) {
      step.say(`installing ${missing.join(", ")}`);
      await installPrograms(missing);
    }
    const found = await Promise.all(wanted.map(findServer));
    const texts = found.map((program) => `${program?.flavour ?? ""} ${program?.version ?? ""}`);
    const ours = Object.keys(given).map((kind) => `${kind} as given`);
    return [...texts, ...ours].join("  ");
  }

  async #startServers(): Promise<string> {
    const { folder, secrets } = this.#options;
    this.#startingServers = startServers({
      dataDir: folder.root,
      credentials: serverCredentials(secrets),
      given: givenServers(process.env),
      users: this.#split().map(({ name, services }) =>
        serverUser(name, services, this.settings.NAMESPACE),
      ),
    });
    this.#servers = await this.#startingServers;
    const started = this.#serverProcesses();
    for (const server of started) this.#serverSupervisor.watch(asSupervised(server));
    this.#endLogWatch = keepLogsSmall(() => this.#logFiles());
    this.#environment = await this.#nodeEnvironment(this.#servers);
    writePlatformEnv(folder, this.#environment);
    return started.map((server) => `${server.kind} :${server.port}`).join("  ");
  }

  /** Everything a node needs, except what differs from node to node. */
  async #nodeEnvironment(servers: RunningServers): Promise<Record<string, string>> {
    const { folder, secrets } = this.#options;
    const ports = new PortBook(folder.root);
    const named = namedSettings(process.env);
    return {
      PROVIDER_PORT: named["PROVIDER_PORT"] ?? String(await ports.take("provider")),
      ...named,
      ...settingSecrets(secrets),
      PORT: String(this.#port),
      DATA_DIR: folder.root,
      MYSQL_URL: servers.mysqlUrl,
      REDIS_URL: servers.redisUrl,
      NATS_URL: servers.natsUrl,
    };
  }

  async #runScript(name: string, script: string): Promise<string> {
    const { sourceDir, folder, secrets } = this.#options;
    const settings = { ...this.#environment, DEMO_PASSWORD: secrets.DEMO_PASSWORD };
    const onStart = (process: GuardedProcess): void => void (this.#script = process);
    const output = await runScript({ name, script, sourceDir, folder, settings, onStart });
    return output.trim().split("\n").at(-1) ?? "";
  }

  /** The script looks for itself; asking first saves a later start its process. */
  async #loadDemoData(): Promise<string> {
    const count = await countProducts(this.#localUrl());
    if (count >= DEMO_PRODUCTS.length) return `${count} products are there already`;
    return await this.#runScript("demo-data", "scripts/demo-data.ts");
  }

  async #startNodes(step: Step): Promise<string> {
    this.#nodes = await this.#planNodes();
    step.say(this.#nodes.map((node) => node.name).join(", "));
    await Promise.all(this.#nodes.map((node) => node.start()));
    for (const node of this.#nodes) this.#nodeSupervisor.watch(node);
    this.#writeState();
    await Promise.all(this.#nodes.map((node) => node.waitUntilReady()));
    if (this.#servesHttp()) await this.#waitUntilServing();
    return this.#nodes.map((node) => node.name).join("  ");
  }

  async #planNodes(): Promise<NodeProcess[]> {
    const { folder, sourceDir } = this.#options;
    const ports = new PortBook(folder.root);
    const nodes: NodeProcess[] = [];
    for (const [index, { name, services }] of this.#split().entries()) {
      const chosen = this.settings.METRICS_PORT;
      const metricsPort = chosen === 0 ? await ports.take(`metrics-${name}`) : chosen + index;
      const settings = { ...this.#environment, ...this.#loginsOf(name) };
      const nice = services === ENTRANCE ? ENTRANCE_NICE : 0;
      const shared = { folder, sourceDir, settings };
      nodes.push(new NodeProcess({ name, services, metricsPort, nice, ...shared }));
    }
    return nodes;
  }

  /** The processes of services, by name: one per role, or one for what the environment names. */
  #split(): readonly { readonly name: string; readonly services: string }[] {
    const named = process.env["SERVICES"] ?? "";
    if (named !== "") return [{ name: "node", services: named }];
    return Object.keys(ROLES).map((role) => ({ name: role, services: role }));
  }

  /** A node reaches the private servers with rights of its own; a server that was given, as given. */
  #loginsOf(name: string): Record<string, string> {
    const credentials = serverCredentials(this.#options.secrets);
    const given = givenServers(process.env);
    const { MYSQL_URL = "", REDIS_URL = "", NATS_URL = "" } = this.#environment;
    return {
      MYSQL_URL: withoutLogin(MYSQL_URL),
      REDIS_URL: given.redis ?? urlAs("redis", REDIS_URL, name, credentials),
      NATS_URL: given.nats ?? urlAs("nats", NATS_URL, name, credentials),
    };
  }

  async #waitUntilServing(): Promise<void> {
    const readyz = `${this.#localUrl()}/readyz`;
    if (await waitUntil(() => isAnswering(readyz), { timeoutMs: READYZ_TIMEOUT_MS })) return;
    const gateway = this.#nodes[0];
    throw new LauncherError(
      `${readyz} did not answer 200 within ${READYZ_TIMEOUT_MS / 1000} s.`,
      "The gateway's log says what it waits for.",
      gateway === undefined ? {} : { logFile: gateway.logFile },
    );
  }

  /** The gateway as this machine reaches it, without asking what "localhost" is. */
  #localUrl(): string {
    const host = EVERY_ADDRESS.has(this.settings.HOST) ? LOOPBACK : this.settings.HOST;
    return `http://${host}:${this.#port}`;
  }

  #servesHttp(): boolean {
    return this.settings.SERVICES.split(",").some((word) =>
      ["gateway", "edge"].includes(word.trim()),
    );
  }

  #wantsDemoData(): boolean {
    const isSwitchedOff = process.env["LAUNCHER_DEMO_DATA"] === "0";
    return this.settings.PROFILE === "development" && this.#servesHttp() && !isSwitchedOff;
  }

  #serverProcesses(): ServerProcess[] {
    return Object.values(this.#servers?.processes ?? {});
  }

  #logFiles(): string[] {
    const files = [...this.#serverProcesses(), ...this.#nodes].map((one) => one.logFile);
    return files.filter((file) => existsSync(file));
  }

  #writeState(): void {
    if (this.state === "stopping") return;
    const servers: ProcessState[] = this.#serverProcesses().map((server) => ({
      name: server.kind,
      pid: server.pid,
      log_file: server.logFile,
      port: server.port,
    }));
    const nodes: ProcessState[] = this.#nodes.map((node) => ({
      name: node.name,
      pid: node.pid,
      log_file: node.logFile,
      services: node.services,
      metrics_port: node.metricsPort,
    }));
    writeRunState(this.#options.folder, {
      pid: process.pid,
      url: this.url,
      started_at: this.#startedAt.toISOString(),
      namespace: this.settings.NAMESPACE,
      processes: [...servers, ...nodes],
    });
  }

  #reportCrash(crashed: SupervisedProcess, backoffMs: number): void {
    if (this.state !== "running") return;
    this.#options.progress.line(
      `  ${crashed.name} ended by itself; it comes back in ${backoffMs} ms (${this.#logFileOf(crashed.name)})`,
    );
  }

  #giveUp(crashed: SupervisedProcess): void {
    // While it starts, the step that waits for it tells the fault.
    if (this.state !== "running") return;
    const logFile = this.#logFileOf(crashed.name);
    const isNode = this.#nodes.some((node) => node.name === crashed.name);
    this.#options.onGiveUp(
      new LauncherError(
        this.#options.isDev && isNode
          ? `${crashed.name} ended; it starts again at the next change.`
          : `${crashed.name} ended too often within a minute and is not started again.`,
        `Its log says why: ${logFile}`,
        { logFile },
      ),
    );
  }

  #logFileOf(name: string): string {
    return join(this.#options.folder.log, `${name}.log`);
  }
}

function asSupervised(server: ServerProcess): SupervisedProcess {
  return {
    name: server.kind,
    get exited() {
      return server.exited;
    },
    restart: () => server.restart(),
  };
}
