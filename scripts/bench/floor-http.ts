// Floor B: bare node:http that answers the text of a product, in a process of its own.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "./child-process.ts";

serve({
  /** Answers the port. */
  listen: ({ body }: { body: string }) => {
    const server = createServer((_request, response) => {
      response.writeHead(200, {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": Buffer.byteLength(body),
      });
      response.end(body);
    });
    return new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  },
});
