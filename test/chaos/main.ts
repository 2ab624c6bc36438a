// `npm run chaos`: runs the cells of the fault matrix that have no result at the present commit yet, and writes what
// was seen. `--cell R3a,D1 --seed 42` runs those whatever there is; `--repeats N` wants N results of each; `--report`
// only writes the page. The exit code says whether everything held.
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Cell } from "./cell.ts";
import { runCell } from "./cell.ts";
import { runWithPrivateMounts } from "./machine.ts";
import { CELLS } from "./matrix.ts";
import { writeReport } from "./report.ts";
import { addRun, presentCommit, readRuns } from "./results.ts";
import { Rig } from "./rig.ts";
import { ROOT } from "../support/source.ts";

const MS_PER_S = 1_000;
const SEEDS = 1_000_000;
/** Of what the launcher said last, when a cell could not be run to its end. */
const OUTPUT_LINES = 6;
const ERROR_LENGTH = 300;
/** A platform is replaced after so many cells, so that its rows stay few. */
const CELLS_PER_RIG_MAX = 12;
/** Of runs that did not hold. */
const LOGS_FOLDER = join(ROOT, ".data", "chaos");

interface Task {
  readonly cell: Cell;
  readonly seed: number;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      cell: { type: "string" },
      seed: { type: "string" },
      repeats: { type: "string", default: "1" },
      minutes: { type: "string", default: "600" },
      report: { type: "boolean", default: false },
    },
  });
  return {
    names: values.cell?.split(","),
    seed: values.seed === undefined ? undefined : Number(values.seed),
    repeats: Number(values.repeats),
    minutes: Number(values.minutes),
    isReportOnly: values.report,
  };
}

function isNamed(id: string, names: readonly string[]): boolean {
  return names.some(
    (name) => id === name || (name.endsWith("*") && id.startsWith(name.slice(0, -1))),
  );
}

/** Named cells are run as often as asked; without names, only what this commit has no result of. */
function plan(options: ReturnType<typeof readOptions>, commit: string): readonly Task[] {
  const { names, seed, repeats } = options;
  const cells = CELLS.filter(({ id }) => names === undefined || isNamed(id, names));
  const runs = readRuns();
  return cells.flatMap((cell) => {
    const known = runs.filter((run) => run.cell === cell.id && run.commit === commit).length;
    const wanted = names === undefined ? Math.max(0, repeats - known) : repeats;
    return Array.from({ length: wanted }, (_, turn) => ({
      cell,
      seed: seed ?? Math.floor(Math.random() * SEEDS) + turn,
    }));
  });
}

class Campaign {
  readonly #commit: string;
  #rig: Rig | undefined;
  #kind: string | undefined;
  #served = 0;

  constructor(commit: string) {
    this.#commit = commit;
  }

  async run({ cell, seed }: Task): Promise<boolean> {
    const startMs = performance.now();
    const { id, title } = cell;
    const known = { cell: id, title, seed, commit: this.#commit, at: new Date().toISOString() };
    const took = (): number => Math.round((performance.now() - startMs) / MS_PER_S);
    const skipped = cell.isImpossible?.();
    if (skipped !== undefined) {
      addRun({ ...known, took_s: 0, holds: true, faults: [], skipped });
      console.log(`${id.padEnd(34)} skipped: ${skipped}`);
      return true;
    }
    const rig = await this.#rigFor(cell).catch((error: unknown) => {
      // What the machine cannot start is no result of the platform; the cell is still to be done.
      console.log(`${id.padEnd(34)} could not be started: ${String(error).slice(0, ERROR_LENGTH)}`);
      return undefined;
    });
    if (rig === undefined) return false;
    try {
      const result = await runCell(cell, rig, seed);
      addRun({ ...known, took_s: took(), ...result });
      console.log(line(id, seed, took(), result.holds, result.faults));
      if (!result.holds) await this.#giveUp(rig, `${id}-${String(seed)}`);
      return result.holds;
    } catch (error) {
      const faults = [error instanceof Error ? error.message : String(error)];
      addRun({ ...known, took_s: took(), holds: false, faults });
      console.log(line(id, seed, took(), false, faults));
      console.log(rig.shop.platform.output.split("\n").slice(-OUTPUT_LINES).join("\n"));
      await this.#giveUp(rig, `${id}-${String(seed)}`);
      return false;
    }
  }

  async stop(): Promise<void> {
    const rig = this.#rig;
    this.#rig = undefined;
    this.#served = 0;
    await rig?.stop();
  }

  async #giveUp(rig: Rig, name: string): Promise<void> {
    const folder = join(LOGS_FOLDER, name);
    rig.keepLogs(folder);
    console.log(`  logs: ${folder}`);
    await this.stop();
  }

  async #rigFor(cell: Cell): Promise<Rig> {
    if (this.#kind !== cell.kind || this.#served >= CELLS_PER_RIG_MAX) await this.stop();
    this.#rig ??= await Rig.start(cell.rig);
    this.#kind = cell.kind;
    this.#served += 1;
    return this.#rig;
  }
}

function line(
  id: string,
  seed: number,
  seconds: number,
  ...[holds, faults]: readonly [boolean, readonly string[]]
): string {
  const words = holds ? "holds" : `FAILS: ${faults.slice(0, 3).join("; ")}`;
  return `${id.padEnd(34)} seed ${String(seed).padEnd(8)} ${String(seconds).padStart(4)} s  ${words}`;
}

const exitCode = await runWithPrivateMounts();
if (exitCode !== undefined) process.exit(exitCode);
const options = readOptions();
const commit = presentCommit();
if (options.isReportOnly) {
  await writeReport(CELLS, readRuns());
  process.exit(0);
}
const tasks = plan(options, commit);
const endMs = performance.now() + options.minutes * 60 * MS_PER_S;
console.log(`${String(tasks.length)} runs to do at commit ${commit}`);
const campaign = new Campaign(commit);
let failed = 0;
let done = 0;
for (const task of tasks) {
  if (performance.now() > endMs) break;
  if (!(await campaign.run(task))) failed += 1;
  done += 1;
}
await campaign.stop();
await writeReport(CELLS, readRuns());
console.log(
  `${String(done - failed)} held, ${String(failed)} failed, ${String(tasks.length - done)} left`,
);
process.exit(failed === 0 ? 0 : 1);
