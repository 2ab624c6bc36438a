// A worker with a public listener that has no time for anybody until it is told to go on.
import { workerData, parentPort } from "node:worker_threads";
import type { AddressInfo } from "node:net";
import { createHttpServer } from "../../services/gateway/http-server.ts";

const mayGoOn = new Int32Array(workerData as SharedArrayBuffer);
const server = createHttpServer((_request, response) => response.end());
server.listen(0, "127.0.0.1", () => {
  parentPort?.postMessage((server.address() as AddressInfo).port);
  // Once the port has been told: the listener is open, and nobody accepts.
  setImmediate(() => {
    Atomics.wait(mayGoOn, 0, 0);
    server.close();
    server.closeAllConnections();
  });
});
