// An HTTP server for crowds: many listening sockets on one port.
//
// Node accepts one connection per listening socket and turn of its event loop (libuv since 1.45). A gateway under load
// turns a hundred times a second, so that of thousands of buyers who arrive at once all but a hundred wait a second
// longer, and nobody can even refuse them. With SO_REUSEPORT the kernel spreads the arrivals over all sockets, and each
// turn accepts one of every socket. Where the system cannot do that there is one socket, as usual. See ADR 0014.
import { type RequestListener, Server, type ServerOptions } from "node:http";
import {
  type AddressInfo,
  createServer,
  type ListenOptions,
  type Server as NetServer,
} from "node:net";
import { platform } from "node:os";
import { CONNECTIONS_MAX, LISTEN_BACKLOG, LISTENERS } from "./limits.ts";

const CAN_SHARE_PORT = platform() === "linux";
/** What Node's HTTP server makes of the sockets it accepts itself. */
const AS_HTTP_SERVER = { allowHalfOpen: true, noDelay: true } as const;

export class CrowdServer extends Server {
  readonly #others: NetServer[] = [];

  constructor(options: ServerOptions, onRequest: RequestListener) {
    super(options, onRequest);
    this.maxConnections = CONNECTIONS_MAX / (CAN_SHARE_PORT ? LISTENERS : 1);
  }

  /** Emits `error` when the port is taken, by whomever. */
  override listen(...args: unknown[]): this {
    const [port, host, onListening] = args as [number, string, (() => void) | undefined];
    if (onListening !== undefined) this.once("listening", onListening);
    // A shared port would let a second gateway in unnoticed; the first bind is alone.
    const trial = createServer();
    trial.once("error", (error) => this.emit("error", error));
    trial.listen({ port, host }, () => {
      const { port: free } = trial.address() as AddressInfo;
      trial.close(
        () => void this.#open(free, host).catch((error: unknown) => this.emit("error", error)),
      );
    });
    return this;
  }

  /** Stops accepting at once; calls back when every connection has ended. */
  override close(onClosed?: (error?: Error) => void): this {
    const others = this.#others.splice(0).map((other) => close(other));
    super.close((error) => {
      void Promise.all(others).then(() => onClosed?.(error));
    });
    return this;
  }

  async #open(port: number, host: string): Promise<void> {
    const address = { port, host, backlog: LISTEN_BACKLOG, reusePort: CAN_SHARE_PORT };
    for (let count = 1; CAN_SHARE_PORT && count < LISTENERS; count += 1) {
      const other = createServer(AS_HTTP_SERVER, (socket) => this.emit("connection", socket));
      other.maxConnections = this.maxConnections;
      this.#others.push(other);
      await listen(other, address);
    }
    super.listen(address);
  }
}

function listen(server: NetServer, address: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(address, resolve);
  });
}

function close(server: NetServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
