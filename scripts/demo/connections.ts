// Keep-alive connections that a whole crowd shares. Who finds none free waits in line, and his waiting
// counts as the shop's time to answer: a generator that slows down with the shop would flatter it.
import { type HttpAnswer, HttpSocket } from "../bench/http-socket.ts";

export interface ConnectionsOptions {
  /** Where the shop is; a function is asked whenever a connection is opened. */
  readonly url: string | (() => string);
  readonly sockets: number;
  /** Address of this machine that a connection comes from; the system's choice without it. */
  readonly localAddressOf?: (socket: number) => string;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #all: HttpSocket[] = [];
  readonly #free: HttpSocket[] = [];
  readonly #line: ((socket: HttpSocket) => void)[] = [];

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Requests that wait for a connection. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Rejects when the connection breaks or no answer comes in time; whether it was heard is unknown. */
  async send(request: string | Buffer): Promise<HttpAnswer> {
    const socket = await this.#take();
    try {
      return await socket.send(request);
    } finally {
      const next = this.#line.shift();
      if (next === undefined) this.#free.push(socket);
      else next(socket);
    }
  }

  close(): void {
    for (const socket of this.#all) socket.close();
  }

  #take(): Promise<HttpSocket> {
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    const { url, sockets, localAddressOf } = this.#options;
    if (this.#all.length < sockets) {
      const socket = new HttpSocket(url, localAddressOf?.(this.#all.length));
      this.#all.push(socket);
      return Promise.resolve(socket);
    }
    return new Promise((resolve) => this.#line.push(resolve));
  }
}
