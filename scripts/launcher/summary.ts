// The block that is printed when the shop is usable: where to go, how to log in, what to try next.
import picocolors from "picocolors";
import type { LauncherStatus } from "./lock.ts";

const LABEL_WIDTH = 12;
const VALUE_WIDTH = 38;

export interface SummaryInput {
  url: string;
  adminEmail: string;
  adminPassword: string;
  demoEmail: string;
  demoPassword: string;
  logDir: string;
  dataDir: string;
  /** Seconds from the first line to this one. */
  elapsedSeconds: number;
}

export function describeRunning(input: SummaryInput): string {
  const { url } = input;
  const rows: [string, string, string][] = [
    ["Shop API", `${url}/api/v1/products`, `docs ${url}/docs`],
    ["Admin", input.adminEmail, input.adminPassword],
    ["Customer", input.demoEmail, input.demoPassword],
    ["Health", `${url}/readyz`, `contract ${url}/openapi.json`],
    ["Data", input.dataDir, "kept between starts"],
    ["Logs", input.logDir, ""],
  ];
  const lines = rows.map(([label, value, note]) => {
    const name = picocolors.bold(label.padEnd(LABEL_WIDTH));
    return `  ${name} ${value.padEnd(VALUE_WIDTH)} ${picocolors.dim(note)}`.trimEnd();
  });
  const login = `curl -s ${url}/api/v1/auth/login -H 'content-type: application/json' -d '{"email":"${input.demoEmail}","password":"${input.demoPassword}"}'`;
  return [
    "",
    `  ${picocolors.green("The shop is open")} after ${input.elapsedSeconds.toFixed(1)} s`,
    "",
    ...lines,
    "",
    `  ${picocolors.bold("Try")}          ${login}`,
    `               npm run repl      then: call product.list {}`,
    `  ${picocolors.bold("Stop")}         Ctrl-C`,
    "",
  ].join("\n");
}

export function describeOther(status: LauncherStatus, dataDir: string): string {
  const where = status.url === "" ? "" : ` at ${status.url}`;
  const verb = status.state === "running" ? "runs" : `is ${status.state}`;
  return [
    "",
    `  The platform of ${dataDir} ${verb} already${where} (process ${status.pid}).`,
    `  For a second one, set DATA_DIR and PORT: DATA_DIR=.data-2 PORT=8081 npm start`,
    "",
  ].join("\n");
}
