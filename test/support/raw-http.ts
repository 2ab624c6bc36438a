// Requests that no well-behaved client sends: bytes written to a socket as they are, in pieces when
// asked, and the answer read until the server closes.
import { connect } from "node:net";

const ANSWER_TIMEOUT_MS = 30_000;

export interface RawAnswer {
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Every status line of the connection, for pipelined requests. */
  readonly statuses: readonly number[];
  /** From the first byte sent to the end of the connection. */
  readonly tookMs: number;
}

export interface Drip {
  readonly piece: string;
  readonly everyMs: number;
}

/** Sends bytes and resolves when the server has closed the connection. */
export function sendRaw(url: string, bytes: string | Buffer, drip?: Drip): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    let received = "";
    const socket = connect(Number(port), hostname);
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      socket.destroy();
      reject(new Error("the server neither answered nor closed"));
    });
    const timer =
      drip === undefined ? undefined : setInterval(() => socket.write(drip.piece), drip.everyMs);
    socket.on("data", (chunk) => (received += chunk.toString("latin1")));
    // A reset after the answer is a way to close, too.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearInterval(timer);
      resolve(parse(received, performance.now() - startedMs));
    });
    socket.write(bytes);
  });
}

function parse(received: string, tookMs: number): RawAnswer {
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, code]) => Number(code));
  const end = received.indexOf("\r\n\r\n");
  const lines = received.slice(0, end).split("\r\n").slice(1);
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return {
    status: statuses[0] ?? 0,
    headers: Object.fromEntries(headers),
    text: received.slice(end + 4),
    statuses,
    tookMs,
  };
}
