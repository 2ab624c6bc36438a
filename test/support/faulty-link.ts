// A TCP relay in front of a real server, to freeze the way to it or cut it, for one client alone.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface FaultyLink {
  /** The server's URL with this link's address. */
  readonly url: string;
  readonly port: number;
  /** Bytes stop in both directions; connections stay open and new ones are accepted. */
  freeze(): void;
  /** Every connection is reset, and so is every new one. */
  cut(): void;
  /** Bytes pass again; those held back by a freeze first. */
  mend(): void;
  close(): void;
}

export async function faultyLink(serverUrl: string, defaultPort: number): Promise<FaultyLink> {
  const target = new URL(serverUrl);
  const targetPort = target.port === "" ? defaultPort : Number(target.port);
  const sockets = new Set<Socket>();
  let state: "open" | "frozen" | "cut" = "open";

  const server = createServer((client) => {
    if (state === "cut") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(targetPort, target.hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on("data", (bytes) => to.write(bytes));
      if (state === "frozen") from.pause();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  target.hostname = "127.0.0.1";
  target.port = String(port);

  const cutAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url: target.href,
    port,
    freeze() {
      state = "frozen";
      for (const socket of sockets) socket.pause();
    },
    cut() {
      state = "cut";
      cutAll();
    },
    mend() {
      state = "open";
      for (const socket of sockets) socket.resume();
    },
    close() {
      cutAll();
      server.close();
    },
  };
}
