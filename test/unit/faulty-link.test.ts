// The relay that faults are made with must make them: each is seen from both ends of a connection.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { eventually } from "../support/eventually.ts";
import { type FaultyLink, faultyLink } from "../support/faulty-link.ts";

const WAIT_MS = 5_000;

describe("a faulty link", () => {
  let server: Server;
  let link: FaultyLink;
  let heard: string;
  let chunks: number;
  const clients: Socket[] = [];

  /** A server that hears everything and answers each chunk with `ok`. */
  beforeEach(async () => {
    [heard, chunks] = ["", 0];
    server = createServer((socket) => {
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        heard += bytes.toString("latin1");
        chunks += 1;
        socket.write("ok");
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    link = await faultyLink(`tcp://127.0.0.1:${String(port)}`);
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    link.close();
    server.close();
  });

  async function open(): Promise<{ socket: Socket; text: () => string; isClosed: () => boolean }> {
    const socket = connect(link.port, "127.0.0.1");
    let [text, isClosed] = ["", false];
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => (isClosed = true));
    clients.push(socket);
    await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => undefined);
    return { socket, text: () => text, isClosed: () => isClosed };
  }
  const until = (what: string, check: () => boolean) =>
    eventually(check, { timeoutMs: WAIT_MS, what });

  it("passes bytes in both directions", async () => {
    const { socket, text } = await open();
    socket.write("one");
    await until("the answer", () => text() === "ok");
    assert.equal(heard, "one");
  });

  it("loses replies while requests get through, and resets what has a hole", async () => {
    const { socket, text, isClosed } = await open();
    link.drop("replies");
    const isReset = (): boolean => {
      if (socket.writable) socket.write("one");
      // Only a connection that has lost bytes is reset.
      link.mend();
      link.drop("replies");
      return isClosed();
    };
    await until("the reset", isReset);
    assert.ok(heard.startsWith("one"));
    assert.equal(text(), "");
  });

  it("holds requests back and lets them go late, in their order", async () => {
    const { socket, text } = await open();
    link.hold("requests");
    for (const word of ["one ", "two ", "three"]) socket.write(word);
    const other = await open();
    link.drop("replies");
    other.socket.write("x");
    assert.equal(heard, "");
    link.mend();
    await until("everything", () => heard.includes("one two three"));
    await until("the answer", () => text().startsWith("ok"));
  });

  it("cuts connections and refuses new ones until it is mended", async () => {
    const { isClosed } = await open();
    link.cut();
    await until("the end", isClosed);
    const refused = await open();
    await until("the end of the new one", refused.isClosed);
    link.mend();
    const { socket, text } = await open();
    socket.write("one");
    await until("the answer", () => text() === "ok");
  });

  it("cuts bytes into slices and takes its time", async () => {
    const { socket, text } = await open();
    link.slow({ latencyMs: 60, sliceBytes: 1 });
    const startMs = performance.now();
    socket.write("slices");
    await until("all slices", () => heard === "slices");
    assert.ok(performance.now() - startMs >= 50);
    await until("an answer", () => text().length > 0);
    assert.ok(chunks >= 1);
  });
});
