// docs/reliability.md: the fault matrix with what was seen in its runs. Made of docs/chaos.json alone.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { ROOT } from "../support/source.ts";
import type { Cell } from "./cell.ts";
import { commitsOfPresentCode, type Run } from "./results.ts";

const FILE = join(ROOT, "docs/reliability.md");
const MS_PER_S = 1_000;
const STATUSES_SHOWN = 6;
const FAULTS_SHOWN = 3;

const INTRODUCTION = `# What it survives

Every row is a fault that is made on a whole platform (three processes as \`npm start\` runs them, private MariaDB,
Redis and NATS behind fault links) while customers browse, order, pay, cancel and storm a flash sale. Afterwards
everything comes to rest, the sale is bought empty, and the rows are held against what the customers themselves heard:

- *acknowledged lost*: orders answered with 201, flash promises answered with an order id, payments the provider was told to take, that are not there;
- *oversold*: units of the sale or of scarce goods beyond what there was, and customers who got two;
- *undersold*: units left in a sale that customers were told was sold out;
- and every invariant of \`/api/v1/admin/invariants\` with no grace at all.

Repeat one with \`npm run chaos -- --cell R1 --seed 42\`. \`npm run chaos\` runs what has no result at the present commit yet; results
are added to [chaos.json](chaos.json). This page is written by it.

Times are the worst of the runs, as customers saw them: *noticed* = from the fault to the first request it spoiled, *degraded* = to the first deliberate answer after that
(served, or 503 with Retry-After), *recovered* = from the healing to the last request that was not served; a dash = nothing to be seen. They are measured on a two-core machine that the load shares.
`;

export async function writeReport(cells: readonly Cell[], runs: readonly Run[]): Promise<void> {
  const done = runs.filter(({ skipped }) => skipped === undefined);
  const present = commitsOfPresentCode(new Set(done.map(({ commit }) => commit)));
  const text = [
    INTRODUCTION,
    summary(cells, done, present),
    "## The matrix\n",
    "| cell | fault | runs | of the product as it is | holds | answers | longest wait | noticed | degraded | recovered | lost | oversold | undersold |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...cells.map((cell) => row(cell, runs, present)),
    "",
    measured(done),
    failures(done),
  ].join("\n");
  const config = await resolveConfig(FILE);
  writeFileSync(FILE, await format(text, { ...config, parser: "markdown" }));
}

/** Of the code that the report is written at: what counts for it is told apart from what is history. */
function summary(
  cells: readonly Cell[],
  done: readonly Run[],
  present: ReadonlySet<string>,
): string {
  const isPresent = ({ commit }: Run): boolean => present.has(commit);
  const lines = [
    sums("the product as it is", cells, done.filter(isPresent)),
    sums(
      "earlier",
      cells,
      done.filter((run) => !isPresent(run)),
    ),
    sums("all", cells, done),
  ];
  return `## In short

| code | commits | cells | runs | hold | acknowledgements | lost | oversold | undersold |
|---|---|---|---|---|---|---|---|---|
${lines.join("\n")}
`;
}

function sums(code: string, cells: readonly Cell[], runs: readonly Run[]): string {
  const tried = new Set(runs.map(({ cell }) => cell));
  const sum = (of: (run: Run) => number | undefined): string =>
    String(runs.reduce((total, run) => total + (of(run) ?? 0), 0));
  const columns = [
    code,
    [...new Set(runs.map(({ commit }) => commit))].join(", "),
    `${String(tried.size)} of ${String(cells.length)}`,
    String(runs.length),
    sum(({ holds }) => (holds ? 1 : 0)),
    sum((run) => run.acknowledged),
    sum((run) => run.acknowledged_lost),
    sum((run) => run.oversold),
    sum((run) => run.undersold),
  ];
  return `| ${columns.join(" | ")} |`;
}

function row(cell: Cell, runs: readonly Run[], present: ReadonlySet<string>): string {
  const mine = runs.filter((run) => run.cell === cell.id);
  const done = mine.filter(({ skipped }) => skipped === undefined);
  if (done.length === 0) {
    const why = mine.at(-1)?.skipped ?? "not run yet";
    return `| ${cell.id} | ${cell.title} | 0 | 0 | ${why} | | | | | | | | |`;
  }
  const held = done.filter(({ holds }) => holds).length;
  const worst = (of: (run: Run) => number | null | undefined): string => {
    const all = done.map(of).filter((value): value is number => typeof value === "number");
    return all.length === 0 ? "–" : `${(Math.max(...all) / MS_PER_S).toFixed(1)} s`;
  };
  const sum = (of: (run: Run) => number | undefined): string =>
    String(done.reduce((total, run) => total + (of(run) ?? 0), 0));
  const columns = [
    cell.id,
    cell.title,
    String(done.length),
    String(done.filter(({ commit }) => present.has(commit)).length),
    held === done.length ? "yes" : `${String(held)} of ${String(done.length)}`,
    answers(done),
    worst((run) => run.longest_wait_ms),
    worst((run) => run.detect_ms),
    worst((run) => run.degrade_ms),
    worst((run) => run.recover_ms),
    sum((run) => run.acknowledged_lost),
    sum((run) => run.oversold),
    sum((run) => run.undersold),
  ];
  return `| ${columns.join(" | ")} |`;
}

function answers(done: readonly Run[]): string {
  const counts = new Map<string, number>();
  for (const { statuses = {} } of done) {
    for (const [status, count] of Object.entries(statuses)) {
      counts.set(status, (counts.get(status) ?? 0) + count);
    }
  }
  return [...counts]
    .sort(([left], [right]) => Number(left) - Number(right))
    .slice(0, STATUSES_SHOWN)
    .map(([status, count]) => `${status === "0" ? "none" : status} × ${String(count)}`)
    .join(", ");
}

function measured(done: readonly Run[]): string {
  const measuredRuns = done.filter(({ figures }) => figures !== undefined);
  if (measuredRuns.length === 0) return "";
  const lines = measuredRuns.map(({ cell, seed, figures = {} }) => {
    const texts = Object.entries(figures).map(([name, value]) => `${name} ${String(value)}`);
    return `- ${cell}, seed ${String(seed)}: ${texts.join(", ")}`;
  });
  return `## What else was measured\n\n${lines.join("\n")}\n`;
}

function failures(done: readonly Run[]): string {
  const failed = done.filter(({ holds }) => !holds);
  if (failed.length === 0) return "";
  const lines = failed.map(
    ({ cell, seed, commit, faults }) =>
      `- ${cell}, seed ${String(seed)}, commit ${commit}: ${faults.slice(0, FAULTS_SHOWN).join("; ")}`,
  );
  return `## Runs that did not hold\n\n${lines.join("\n")}\n`;
}
