// A gateway that many come to at once: it lets in more than one of them in each turn of its event loop.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { platform } from "node:os";
import { setImmediate as turn } from "node:timers/promises";
import { CrowdServer } from "../../services/gateway/crowd-server.ts";

const CROWD = 200;
const HOST = "127.0.0.1";
const SHARES_PORT = platform() === "linux";

async function opened(port = 0): Promise<CrowdServer> {
  const server = new CrowdServer({}, (_request, response) => response.end("in"));
  server.listen(port, HOST);
  await once(server, "listening");
  return server;
}

const portOf = (server: CrowdServer): number => (server.address() as AddressInfo).port;
const close = (server: CrowdServer): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve()));

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  const answer = await Promise.race([
    once(socket, "connect").then(() => false),
    once(socket, "error").then(() => true),
  ]).catch(() => true);
  socket.destroy();
  return answer;
}

describe("a server for crowds", () => {
  it("accepts many connections in a turn", async function () {
    if (!SHARES_PORT) this.skip();
    const server = await opened();
    let accepted = 0;
    let most = 0;
    server.on("connection", () => (accepted += 1));
    const crowd = Array.from({ length: CROWD }, (): Socket => connect(portOf(server), HOST));
    for (let before = 0; accepted < CROWD; before = accepted) {
      await turn();
      most = Math.max(most, accepted - before);
    }
    for (const socket of crowd) socket.destroy();
    await close(server);
    assert.ok(most > 1, `${String(most)} in a turn`);
  });

  it("answers whoever came through whichever socket", async () => {
    const server = await opened();
    const url = `http://${HOST}:${String(portOf(server))}/`;
    const answers = await Promise.all(
      Array.from({ length: CROWD }, async () => {
        const answer = await fetch(url, { headers: { connection: "close" } });
        return await answer.text();
      }),
    );
    assert.deepEqual([...new Set(answers)], ["in"]);
    await close(server);
  });

  it("lets nobody in any more once it closes, and calls back when the last has left", async () => {
    const server = await opened();
    const port = portOf(server);
    let accepted = 0;
    server.on("connection", () => (accepted += 1));
    const guests = Array.from({ length: CROWD }, (): Socket => connect(port, HOST));
    for (const guest of guests) guest.write("GET / HTTP/1.1\r\nHost: x\r\n");
    while (accepted < CROWD) await turn();
    let isClosed = false;
    const closing = close(server).then(() => (isClosed = true));
    const late = await Promise.all(Array.from({ length: CROWD }, () => isRefused(port)));
    assert.deepEqual([...new Set(late)], [true]);
    assert.equal(isClosed, false);
    for (const guest of guests) guest.destroy();
    await closing;
  });

  it("does not share its port with another one", async () => {
    const first = await opened();
    const second = new CrowdServer({}, () => undefined);
    second.listen(portOf(first), HOST);
    const [error] = (await once(second, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "EADDRINUSE");
    await close(first);
  });

  it("does not take a port that somebody else has", async () => {
    const other = createServer();
    other.listen(0, HOST);
    await once(other, "listening");
    const server = new CrowdServer({}, () => undefined);
    server.listen((other.address() as AddressInfo).port, HOST);
    const [error] = (await once(server, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "EADDRINUSE");
    other.close();
  });
});
