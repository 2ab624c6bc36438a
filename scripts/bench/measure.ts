// One measurement: a closed loop runs, and between two marks the CPU time of the processes that
// serve it and the database's counters are read.
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { Workload } from "./child-process.ts";
import { type CpuReading, cpuBetween, readCpu } from "./process-cpu.ts";

const WARM_UP_SHARE = 0.3;
const MS_PER_S = 1_000;
const COUNTERS = ["Com_commit", "Innodb_data_fsyncs", "Queries"] as const;

export interface Subject {
  readonly workload: Workload;
  readonly unit: string;
  /** The processes that do the work, by name. */
  readonly pids: ReadonlyMap<string, number>;
  /** Clients; a workload of its own number of clients says so. */
  readonly connections: number;
}

/** Figures of one measurement. */
export interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU microseconds per unit, by process. */
  readonly cpuUs: Readonly<Record<string, number>>;
  /** Of the database server, per unit. */
  readonly commits: number;
  readonly fsyncs: number;
  readonly statements: number;
  /** Monotonic clock, microseconds: when it was taken. */
  readonly fromUs: number;
  readonly untilUs: number;
}

interface Reading {
  readonly atMs: number;
  readonly cpu: ReadonlyMap<string, CpuReading>;
  readonly counters: ReadonlyMap<string, number>;
}

/** @throws when a unit of work failed: figures of failures are worth nothing. */
export async function measure(
  admin: Connection,
  subject: Subject,
  seconds: number,
): Promise<Sample> {
  const { workload, unit, pids } = subject;
  await workload.start(unit, subject.connections);
  await pause(seconds * WARM_UP_SHARE * MS_PER_S);
  const first = await workload.mark();
  const before = await read(admin, pids);
  await pause(seconds * MS_PER_S);
  const after = await read(admin, pids);
  const tally = await workload.mark();
  await workload.stop();
  const last = await workload.mark();
  const failure = first.failure + tally.failure + last.failure;
  if (failure !== "") throw new Error(`${unit} failed: ${failure}`);
  if (tally.units === 0) throw new Error(`${unit} did nothing in ${seconds} s`);
  const counted = (name: (typeof COUNTERS)[number]): number =>
    ((after.counters.get(name) ?? 0) - (before.counters.get(name) ?? 0)) / tally.units;
  return {
    perSecond: (tally.units * MS_PER_S) / (after.atMs - before.atMs),
    p50Ms: tally.p50Ms,
    p99Ms: tally.p99Ms,
    cpuUs: Object.fromEntries(
      [...cpuOf(before, after)].map(([name, us]) => [name, us / tally.units]),
    ),
    commits: counted("Com_commit"),
    fsyncs: counted("Innodb_data_fsyncs"),
    statements: counted("Queries"),
    fromUs: before.atMs * 1_000,
    untilUs: after.atMs * 1_000,
  };
}

/** What the platform costs while nobody asks anything of it: CPU microseconds a second. */
export async function measureIdle(
  admin: Connection,
  pids: ReadonlyMap<string, number>,
  seconds: number,
): Promise<Readonly<Record<string, number>>> {
  const before = await read(admin, pids);
  await pause(seconds * MS_PER_S);
  const after = await read(admin, pids);
  const elapsedS = (after.atMs - before.atMs) / MS_PER_S;
  return Object.fromEntries([...cpuOf(before, after)].map(([name, us]) => [name, us / elapsedS]));
}

async function read(admin: Connection, pids: ReadonlyMap<string, number>): Promise<Reading> {
  const [rows] = await admin.query<(RowDataPacket & { Variable_name: string; Value: string })[]>(
    "SHOW GLOBAL STATUS WHERE Variable_name IN (?)",
    [COUNTERS],
  );
  return {
    atMs: Number(process.hrtime.bigint() / 1_000n) / MS_PER_S,
    cpu: new Map([...pids].map(([name, pid]) => [name, readCpu(pid)])),
    counters: new Map(rows.map(({ Variable_name: name, Value: value }) => [name, Number(value)])),
  };
}

function cpuOf(before: Reading, after: Reading): ReadonlyMap<string, number> {
  return new Map(
    [...after.cpu].map(([name, cpu]) => [name, cpuBetween(before.cpu.get(name) ?? new Map(), cpu)]),
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
