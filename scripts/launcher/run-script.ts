// Runs one of the product's scripts to its end under the guard, with its output in a log file.
import { join } from "node:path";
import type { DataFolder } from "./data-folder.ts";
import type { GuardedProcess } from "./guard.ts";
import { startGuarded } from "./guard.ts";
import { LauncherError } from "./launcher-error.ts";
import { logSize, readLogFrom } from "./log-files.ts";
import { inheritedEnvironment } from "./node-process.ts";

export interface ScriptRun {
  /** Name of the step; also of its log file. */
  name: string;
  /** Path of the script from the source folder. */
  script: string;
  sourceDir: string;
  folder: DataFolder;
  settings: Readonly<Record<string, string>>;
  /** Gets the process, so that a stop can end it. */
  onStart: (process: GuardedProcess) => void;
}

/** Exit code of a migration whose database user may not do what it has to; its output is the SQL to run. */
const MISSING_RIGHTS_CODE = 3;

/** Answers what the script printed; throws LauncherError when it ended with a code other than 0. */
export async function runScript(options: ScriptRun): Promise<string> {
  const { name, script, sourceDir, folder, settings } = options;
  const logFile = join(folder.log, `${name}.log`);
  const logStart = logSize(logFile);
  const running = await startGuarded({
    program: process.execPath,
    args: [join(sourceDir, script)],
    cwd: sourceDir,
    logFile,
    env: { ...inheritedEnvironment(), ...settings, NODE_COMPILE_CACHE: folder.cache },
  });
  options.onStart(running);
  const { code } = await running.waitForExit();
  const output = readLogFrom(logFile, logStart);
  if (code === 0) return output;
  if (code === MISSING_RIGHTS_CODE) {
    throw new LauncherError(
      "The user of MYSQL_URL may not create schemas and users.",
      `${output.trim()}\n`,
      { exitCode: 2 },
    );
  }
  throw new LauncherError(
    `The step "${name}" failed with code ${code}.`,
    `Its log says why: ${logFile}`,
    { logFile },
  );
}
