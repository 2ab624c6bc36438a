// The machine a benchmark ran on, in one line of its report.
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";

const BYTES_PER_GIB = 2 ** 30;

export function describeMachine(): string {
  const [cpu] = cpus();
  const load = readFileSync("/proc/loadavg", "utf8").split(" ", 3).join(" ");
  const memory = `${(totalmem() / BYTES_PER_GIB).toFixed(0)} GiB`;
  return `${cpus().length} × ${cpu?.model.trim() ?? "?"}, ${memory}; load at the end ${load}`;
}
