// `npm start` and `npm run dev`: take the folder, start the platform, show it, wait for a reason to stop.
import picocolors from "picocolors";
import { DEMO_CUSTOMERS } from "../demo/catalogue.ts";
import type { DataFolder } from "./data-folder.ts";
import { openDataFolder } from "./data-folder.ts";
import { LauncherError } from "./launcher-error.ts";
import type { LauncherStatus } from "./lock.ts";
import { takeLock } from "./lock.ts";
import { lastLines } from "./log-files.ts";
import { Platform } from "./platform.ts";
import { createProgress } from "./progress.ts";
import { openSecrets } from "./secrets.ts";
import { watchSource } from "./source-watch.ts";
import { listenForStop } from "./stop-signals.ts";
import { describeOther, describeRunning } from "./summary.ts";

const LOG_LINES_SHOWN = 15;
const FORCED_EXIT_CODE = 130;

export interface UpOptions {
  sourceDir: string;
  dataDir: string;
  /** Restart the node processes when source code changes. */
  isDev: boolean;
}

/** Resolves when the platform is up; the process then lives until something stops it. */
export async function up(options: UpOptions): Promise<void> {
  const launch = new Launch(options);
  await launch.run();
}

class Launch {
  readonly #options: UpOptions;
  readonly #folder: DataFolder;
  readonly #progress = createProgress();
  #platform: Platform | null = null;
  #release: () => Promise<void> = () => Promise.resolve();
  #isEnding = false;

  constructor(options: UpOptions) {
    this.#options = options;
    this.#folder = openDataFolder(options.dataDir);
  }

  async run(): Promise<void> {
    const lock = await takeLock(this.#folder, () => this.#status());
    if (!lock.isMine) {
      this.#progress.line(describeOther(lock.owner, this.#folder.root));
      return;
    }
    this.#release = lock.release;
    listenForStop({
      stop: (reason) => void this.#end(0, reason),
      force: () => {
        this.#platform?.kill();
        process.exit(FORCED_EXIT_CODE);
      },
    });
    try {
      await this.#start();
    } catch (error) {
      // A stop that was asked for makes the steps under way fail; that is no fault to show.
      if (this.#isEnding) return;
      explain(error);
      await this.#end(error instanceof LauncherError ? error.exitCode : 1, "The start failed");
    }
  }

  #status(): LauncherStatus {
    const platform = this.#platform;
    return { pid: process.pid, state: platform?.state ?? "starting", url: platform?.url ?? "" };
  }

  async #start(): Promise<void> {
    const { sourceDir, isDev } = this.#options;
    const folder = this.#folder;
    const progress = this.#progress;
    const secrets = openSecrets(folder);
    const onGiveUp = (error: LauncherError): void => {
      if (isDev) {
        progress.line(`  ${error.message} ${error.wayOut}`);
        return;
      }
      explain(error);
      void this.#end(error.exitCode, "A process does not stay up");
    };
    const platform = new Platform({ sourceDir, folder, secrets, progress, isDev, onGiveUp });
    this.#platform = platform;
    await platform.start();
    if (isDev) restartOnChange(platform, sourceDir, (text) => progress.line(text));
    progress.line(
      describeRunning({
        url: platform.url,
        adminEmail: platform.settings.ADMIN_EMAIL,
        adminPassword: secrets.ADMIN_PASSWORD,
        demoEmail: DEMO_CUSTOMERS[0].email,
        demoPassword: secrets.DEMO_PASSWORD,
        logDir: folder.log,
        dataDir: folder.root,
        elapsedSeconds: process.uptime(),
      }),
    );
  }

  async #end(exitCode: number, reason: string): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#progress.line(`\n  ${reason}: stopping`);
    const startedAt = performance.now();
    await this.#platform?.stop();
    await this.#release();
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    this.#progress.line(`  stopped in ${seconds} s; the data stays in ${this.#folder.root}`);
    process.exit(exitCode);
  }
}

function restartOnChange(platform: Platform, sourceDir: string, say: (text: string) => void): void {
  let last = Promise.resolve();
  watchSource(sourceDir, (file) => {
    last = last.then(async () => {
      const startedAt = performance.now();
      try {
        await platform.restartNodes();
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        say(`  ${file} changed: services restarted in ${seconds} s`);
      } catch (error) {
        say(`  ${file} changed: the services do not start, waiting for the next change`);
        explain(error);
      }
    });
  });
}

/** One clear sentence, a way out, and the end of the log that has the reason. */
export function explain(error: unknown): void {
  if (!(error instanceof LauncherError)) {
    console.error(error);
    return;
  }
  console.error(`\n  ${picocolors.red(error.message)}\n  ${error.wayOut}\n`);
  if (error.logFile === null) return;
  for (const line of lastLines(error.logFile, LOG_LINES_SHOWN)) {
    console.error(`    ${picocolors.dim(line)}`);
  }
}
