// The reverse proxy's file in the real nginx, in front of a listener that tells what reached it.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../../services/contracts/errors.ts";
import { eventually } from "../support/eventually.ts";
import { INSTALL_TIMEOUT_MS, programPath } from "../support/program.ts";
import { readRoot } from "../support/source.ts";

const run = promisify(execFile);
const LOOPBACK = "127.0.0.1";
const CONNECTIONS_ALLOWED = 500;
const UP_TIMEOUT_MS = 5_000;
const LARGER_THAN_ALLOWED = 33 * 1024;

interface Arrived {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly port: number | undefined;
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, LOOPBACK);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("nginx.conf in front of a gateway", function () {
  this.timeout(INSTALL_TIMEOUT_MS);
  const folder = mkdtempSync(join(tmpdir(), "flash-sale-nginx-"));
  const config = join(folder, "nginx.conf");
  const arrived: Arrived[] = [];
  let upstream: Server;
  let nginx: ChildProcess;
  let base = "";
  let endStream = (): void => undefined;

  before(async () => {
    upstream = createServer((request, response) => {
      const { url: path = "", headers, socket } = request;
      arrived.push({ path, headers, port: socket.remotePort });
      if (path.endsWith("/events")) {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write("data: first\n\n");
        endStream = () => response.end();
        return;
      }
      response.setHeader("Cache-Control", "public, max-age=0");
      response.end("x");
    }).listen(0, LOOPBACK);
    await once(upstream, "listening");
    const port = await freePort();
    base = `http://${LOOPBACK}:${port}`;
    const text = readRoot("deploy/nginx/nginx.conf")
      .replace("edge:8080", `${LOOPBACK}:${(upstream.address() as AddressInfo).port}`)
      .replace("listen 8080", `listen ${LOOPBACK}:${port}`)
      .replaceAll("/tmp/", `${folder}/`)
      .replace("access_log /dev/stdout shop", `access_log ${folder}/access.log shop`)
      .replace("error_log /dev/stderr", `error_log ${folder}/error.log`);
    writeFileSync(config, text);
    const program = await programPath("nginx");
    await run(program, ["-t", "-c", config]);
    // Started by root its workers would be another user, for whom the folder is closed.
    const user = process.getuid?.() === 0 ? " user root;" : "";
    nginx = spawn(program, ["-c", config, "-g", `daemon off;${user}`], { stdio: "ignore" });
    await eventually(async () => (await fetch(`${base}/livez`)).ok, {
      timeoutMs: UP_TIMEOUT_MS,
      what: "nginx answers",
    });
  });

  after(async () => {
    endStream();
    nginx.kill("SIGTERM");
    if (nginx.exitCode === null) await once(nginx, "exit");
    upstream.closeAllConnections();
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("tells the client's address itself and drops what the client claims", async () => {
    const claimed = { "X-Forwarded-For": "203.0.113.9", Forwarded: "for=203.0.113.9" };
    await fetch(`${base}/api/v1/products`, { headers: claimed });
    const { headers } = arrived.at(-1)!;
    assert.equal(headers["x-forwarded-for"], LOOPBACK);
    assert.equal(headers["forwarded"], undefined);
  });

  it("keeps its connection to the gateway", async () => {
    const before = arrived.length;
    for (let at = 0; at < 20; at += 1) await (await fetch(`${base}/api/v1/products`)).text();
    const ports = new Set(arrived.slice(before).map(({ port }) => port));
    assert.equal(arrived.length - before, 20);
    assert.ok(ports.size <= 4, `${ports.size} connections for 20 requests`);
  });

  it("asks the gateway once for a file of the docs page", async () => {
    for (let at = 0; at < 3; at += 1) {
      const answer = await fetch(`${base}/docs/assets/swagger-ui.css`);
      assert.equal(await answer.text(), "x");
      assert.equal(answer.headers.get("cache-control"), "public, max-age=3600");
    }
    assert.equal(arrived.filter(({ path }) => path.startsWith("/docs/assets")).length, 1);
  });

  it("passes each event of a sale's stream on while the stream is open", async () => {
    const answer = await fetch(`${base}/api/v1/seckill/sales/1/events`);
    const first = (await answer.body!.getReader().read()) as { readonly value: Uint8Array };
    assert.equal(Buffer.from(first.value).toString(), "data: first\n\n");
    endStream();
  });

  it("refuses a body the gateway would refuse, in the shop's words", async () => {
    const before = arrived.length;
    const body = "x".repeat(LARGER_THAN_ALLOWED);
    const answer = await fetch(`${base}/api/v1/orders`, { method: "POST", body });
    assert.equal(answer.status, 413);
    await assertEnvelope(answer, "BODY_TOO_LARGE");
    assert.equal(arrived.length, before);
  });

  it("refuses a flood from one address, in the shop's words", async () => {
    const streams = await Promise.all(
      Array.from({ length: CONNECTIONS_ALLOWED + 20 }, () =>
        fetch(`${base}/api/v1/seckill/sales/1/events`),
      ),
    );
    const refused = streams.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 20, `${refused.length} refused`);
    assert.equal(refused[0]!.headers.get("retry-after"), "1");
    await assertEnvelope(refused[0]!, "RATE_LIMITED");
    for (const { body, bodyUsed } of streams) if (!bodyUsed) await body?.cancel();
  });

  it("says in the shop's words that the gateway is away", async () => {
    upstream.closeAllConnections();
    upstream.close();
    const answer = await eventually(
      async () => {
        const one = await fetch(`${base}/api/v1/products`);
        return one.status === 503 ? one : undefined;
      },
      { timeoutMs: UP_TIMEOUT_MS, what: "nginx answers 503" },
    );
    await assertEnvelope(answer, "SERVICE_UNAVAILABLE");
  });
});

async function assertEnvelope(answer: Response, slug: ErrorSlug): Promise<void> {
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
  assert.deepEqual(await answer.json(), {
    code: errorCode(slug),
    error: slug,
    message: ERROR_CATALOGUE[slug].message,
    details: null,
    request_id: answer.headers.get("x-request-id"),
  });
}
