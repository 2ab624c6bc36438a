// CPU time of other processes, as the scheduler counts it (nanoseconds per thread).
import { readdirSync, readFileSync } from "node:fs";

const NS_PER_US = 1_000;

/** CPU time per thread id, microseconds. */
export type CpuReading = ReadonlyMap<string, number>;

/** A process that is gone has no threads. */
export function readCpu(pid: number): CpuReading {
  const reading = new Map<string, number>();
  for (const thread of readThreads(pid)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
      reading.set(thread, Number.parseInt(text, 10) / NS_PER_US);
    } catch {
      // The thread has ended since the folder was read.
    }
  }
  return reading;
}

function readThreads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** CPU microseconds between two readings; what ended threads used in between is not seen. */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  let total = 0;
  for (const [thread, us] of after) total += us - (before.get(thread) ?? 0);
  return total;
}
