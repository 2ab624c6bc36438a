// The reverse proxy as it is deployed: the real nginx with deploy/nginx's own files. Only what names a
// place is replaced: ports, folders, and the address of the gateway.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../../services/contracts/errors.ts";
import { eventually } from "./eventually.ts";
import { programPath } from "./program.ts";
import { readRoot, ROOT } from "./source.ts";
import { tempFolder } from "./temp-folder.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const run = promisify(execFile);
const LOOPBACK = "127.0.0.1";
const UP_TIMEOUT_MS = 10_000;

/** Answers of nginx's own have this form. */
export interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly requestId: string;
  readonly text: string;
}

export class ReverseProxy {
  readonly url: string;
  readonly #config: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(parts: { url: string; config: string; folder: string; child: ChildProcess }) {
    this.url = parts.url;
    this.#config = parts.config;
    this.#folder = parts.folder;
    this.#process = parts.child;
  }

  /** Starts it in front of a gateway on this port of the loopback, once nginx itself agrees. */
  static async start(gatewayPort: number): Promise<ReverseProxy> {
    const folder = tempFolder();
    const config = join(folder, "nginx.conf");
    const port = await findFreePort();
    const url = `http://${LOOPBACK}:${port}`;
    writeFileSync(config, placed(folder, port, gatewayPort));
    const program = await programPath("nginx");
    await run(program, ["-t", "-c", config]);
    // Started by root its workers would be another user, for whom the folder is closed.
    const user = process.getuid?.() === 0 ? " user root;" : "";
    const child = spawn(program, ["-c", config, "-g", `daemon off;${user}`], { stdio: "ignore" });
    const proxy = new ReverseProxy({ url, config, folder, child });
    process.once("exit", () => child.kill("SIGTERM"));
    await eventually(async () => (await fetch(`${url}/livez`)).ok, {
      timeoutMs: UP_TIMEOUT_MS,
      what: "nginx answers",
    });
    return proxy;
  }

  /** What it complained about so far. */
  get errors(): string {
    return readFileSync(join(this.#folder, "error.log"), "utf8");
  }

  /** Reads its file again, changed so, as `nginx -s reload` does. */
  reload(change: (text: string) => string): void {
    const text = readFileSync(this.#config, "utf8");
    const changed = change(text);
    assert.notEqual(changed, text);
    writeFileSync(this.#config, changed);
    this.#process.kill("SIGHUP");
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    await ended;
  }
}

function placed(folder: string, port: number, gatewayPort: number): string {
  const places: readonly (readonly [string, string])[] = [
    ["edge:8080", `${LOOPBACK}:${gatewayPort}`],
    ["listen 8080", `listen ${LOOPBACK}:${port}`],
    ["/tmp/", `${folder}/`],
    ["root /etc/nginx;", `root ${join(ROOT, "deploy/nginx")};`],
    ["access_log /dev/stdout shop", `access_log ${folder}/access.log shop`],
    ["error_log /dev/stderr", `error_log ${folder}/error.log`],
  ];
  return places.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), `nginx.conf says ${from} no more`);
    return text.replaceAll(from, to);
  }, readRoot("deploy/nginx/nginx.conf"));
}

export async function refusalOf(answer: Response): Promise<Refusal> {
  return {
    status: answer.status,
    type: answer.headers.get("content-type") ?? "",
    requestId: answer.headers.get("x-request-id") ?? "",
    text: await answer.text(),
  };
}

/** Fails unless the answer is the shop's own error of this slug. */
export function assertRefusal({ status, type, requestId, text }: Refusal, slug: ErrorSlug): void {
  assert.equal(status, ERROR_CATALOGUE[slug].status, text);
  assert.match(type, /^application\/json; ?charset=utf-8$/);
  assert.match(requestId, /^[A-Za-z0-9_-]{8,64}$/);
  assert.deepEqual(JSON.parse(text), {
    code: errorCode(slug),
    error: slug,
    message: ERROR_CATALOGUE[slug].message,
    details: null,
    request_id: requestId,
  });
}
