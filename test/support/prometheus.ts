// A real Prometheus of its own for a test: scrapes a running platform by the launcher's list of targets and
// loads the shipped rules, only faster than in real life.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findFreePort } from "../../scripts/launcher/ports.ts";
import { eventually } from "./eventually.ts";
import { programPath } from "./program.ts";
import { ROOT } from "./source.ts";
import { tempFolder } from "./temp-folder.ts";

const FOLDER = join(ROOT, "deploy/prometheus");
const START_TIMEOUT_MS = 30_000;

export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RuleHealth {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

interface ApiAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
    readonly groups: readonly { readonly rules: readonly RuleHealth[] }[];
  };
}

export class TestPrometheus {
  readonly #url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.#url = url;
    this.#child = child;
  }

  /** @param dataDir the platform's, whose list of targets is followed */
  static async start(dataDir: string): Promise<TestPrometheus> {
    const promtool = await programPath("promtool");
    const folder = tempFolder();
    const config = join(folder, "prometheus.yml");
    writeFileSync(config, configFor(dataDir));
    const address = `127.0.0.1:${String(await findFreePort())}`;
    const child = spawn(
      join(dirname(promtool), "prometheus"),
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=${address}`,
        "--log.level=error",
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const prometheus = new TestPrometheus(`http://${address}`, child);
    await eventually(
      async () => (await fetch(`http://${address}/-/ready`).catch(() => undefined))?.ok === true,
      { timeoutMs: START_TIMEOUT_MS, what: "Prometheus is ready", intervalMs: 100 },
    );
    return prometheus;
  }

  /** Fails on an expression that Prometheus does not take. */
  async query(expr: string): Promise<readonly PrometheusSample[]> {
    const { data } = await this.#ask(`query?query=${encodeURIComponent(expr)}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async rules(): Promise<readonly RuleHealth[]> {
    const { data } = await this.#ask("rules");
    return data.groups.flatMap(({ rules }) => rules);
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    await exited;
  }

  async #ask(path: string): Promise<ApiAnswer> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer = (await response.json()) as ApiAnswer;
    if (answer.status !== "success") throw new Error(`${path}: ${answer.error ?? ""}`);
    return answer;
  }
}

/** The shipped configuration for a machine of one's own, with this platform's targets. */
function configFor(dataDir: string): string {
  return readFileSync(join(FOLDER, "local.yml"), "utf8")
    .replace("../../.data/prometheus-targets.json", join(dataDir, "prometheus-targets.json"))
    .replace("- rules.yml", `- ${join(FOLDER, "rules.yml")}`)
    .replace(/(scrape_interval|evaluation_interval|refresh_interval): 10s/g, "$1: 2s")
    .replace("scrape_timeout: 5s", "scrape_timeout: 2s");
}
