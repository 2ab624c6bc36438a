// A crowd at a gateway that has no time for it just then: it waits to be let in, and nobody is dropped.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

/** Twice what Node lets wait by itself. */
const CROWD = 1_024;
/** Of a crowd of which the kernel dropped some: they try again after seconds, and are dropped again. */
const TIMEOUT_MS = 10_000;
const SERVER = join(import.meta.dirname, "../support/blocked-server.ts");

describe("a gateway that is busy while a crowd comes", function () {
  this.timeout(TIMEOUT_MS);
  const mayGoOn = new Int32Array(new SharedArrayBuffer(4));
  const crowd: Socket[] = [];
  let server: Worker;

  before(() => {
    server = new Worker(SERVER, { workerData: mayGoOn.buffer });
  });
  after(async () => {
    Atomics.store(mayGoOn, 0, 1);
    Atomics.notify(mayGoOn, 0);
    for (const socket of crowd) socket.destroy();
    await once(server, "exit");
  });

  it("has room for all of them", async () => {
    const [port] = (await once(server, "message")) as [number];
    for (let count = 0; count < CROWD; count += 1) crowd.push(connect(port, "127.0.0.1"));
    await Promise.all(crowd.map((socket) => once(socket, "connect")));
  });
});
