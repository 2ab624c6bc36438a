// Floor B: bare node:http that answers everybody the same, the text of a product or a refusal, in a process of its own.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "./child-process.ts";

export interface FloorAnswer {
  /** 200 unless given. */
  readonly status?: number;
  /** Beside its type and length. */
  readonly head?: Readonly<Record<string, string>>;
  readonly body: string;
}

serve({
  /** Answers the port. */
  listen: ({ status = 200, head = {}, body }: FloorAnswer) => {
    const fields = {
      "Content-Type": "application/json; charset=utf-8",
      "Content-Length": Buffer.byteLength(body),
      ...head,
    };
    const server = createServer((_request, response) => {
      response.writeHead(status, fields);
      response.end(body);
    });
    return new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  },
});
