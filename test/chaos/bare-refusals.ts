// The floor of an overload: a server of bare node:http, in a process of its own, that refuses whatever it is asked.
// A shop cannot refuse at less than this, and the machine has only two cores for asking and refusing.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "../../scripts/bench/child-process.ts";

const BODY = JSON.stringify({ error: "OVERLOADED" });
const HEAD = {
  "Content-Type": "application/json; charset=utf-8",
  "Content-Length": Buffer.byteLength(BODY),
  "Retry-After": "1",
};

serve({
  /** Answers the URL. */
  listen: () => {
    const server = createServer((_request, response) => {
      response.writeHead(503, HEAD);
      response.end(BODY);
    });
    return new Promise<string>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo;
        resolve(`http://127.0.0.1:${String(port)}`);
      });
    });
  },
});
