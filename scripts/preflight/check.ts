// What a check before a sale finds, and the table of all of them.
import pc from "picocolors";

/** - go; - warn: worth a look, no reason to stop; - no_go: do not open the sale. */
export type Verdict = "go" | "warn" | "no_go";

export interface Finding {
  readonly what: string;
  readonly verdict: Verdict;
  readonly text: string;
}

/** A group of findings that share a source; one that cannot be looked at is a reason to stop. */
export interface Check {
  readonly what: string;
  readonly look: () => Promise<readonly Finding[]>;
}

export const go = (what: string, text: string): Finding => ({ what, verdict: "go", text });
export const warn = (what: string, text: string): Finding => ({ what, verdict: "warn", text });
export const noGo = (what: string, text: string): Finding => ({ what, verdict: "no_go", text });
export const judge = (what: string, isGood: boolean, text: string): Finding =>
  isGood ? go(what, text) : noGo(what, text);

export async function runChecks(checks: readonly Check[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { what, look } of checks) {
    try {
      findings.push(...(await look()));
    } catch (error) {
      findings.push(noGo(what, `cannot be looked at: ${textOf(error)}`));
    }
  }
  return findings;
}

/** A sale may open when nothing speaks against it. */
export function isGo(findings: readonly Finding[]): boolean {
  return findings.length > 0 && findings.every(({ verdict }) => verdict !== "no_go");
}

const SHOWN: Readonly<Record<Verdict, string>> = {
  go: pc.green("go   "),
  warn: pc.yellow("warn "),
  no_go: pc.red("NO GO"),
};

export function tableOf(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  return findings
    .map(({ what, verdict, text }) => `  ${SHOWN[verdict]}  ${what.padEnd(width)}  ${text}`)
    .join("\n");
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
