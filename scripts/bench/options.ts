// The command line of the benchmark. Everything is bounded: a run ends by itself.
import { parseArgs } from "node:util";

const ROUNDS_MAX = 50;
const SECONDS_MAX = 60;
const CONNECTIONS_MAX = 512;

export interface BenchOptions {
  /** Alternated rounds; every measurement is taken once in each. */
  readonly rounds: number;
  /** Length of one measurement, warm-up excluded. */
  readonly seconds: number;
  /** Closed-loop clients of every measurement. */
  readonly connections: number;
  /** Writes CPU profiles of the product's processes and no ratios. */
  readonly isProfile: boolean;
  /** Folder of bench.json and bench.md; empty: nothing is written. */
  readonly out: string;
}

/** @throws RangeError with what is wrong, for the person who typed it. */
export function readOptions(args: readonly string[], defaultOut: string): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string" },
      seconds: { type: "string" },
      connections: { type: "string", default: "64" },
      quick: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const isShort = values.quick || values.profile;
  return {
    rounds: number("rounds", values.rounds ?? (isShort ? "1" : "5"), ROUNDS_MAX),
    seconds: number("seconds", values.seconds ?? (values.quick ? "1" : "2"), SECONDS_MAX),
    connections: number("connections", values.connections, CONNECTIONS_MAX),
    isProfile: values.profile,
    // A short run must not replace the figures of a long one.
    out: values.out ?? (isShort ? "" : defaultOut),
  };
}

function number(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new RangeError(`--${name} must be a whole number from 1 to ${max}.`);
}
