// Loopback ports: finds free ones and remembers them per data folder, so that bookmarks stay valid.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const LOOPBACK = "127.0.0.1";
const PORTS_FILE = "ports.json";
const PORT_MAX = 65_535;

/** True when nothing listens on the port of this address. */
export async function isPortFree(port: number, host: string = LOOPBACK): Promise<boolean> {
  return (await tryListen(port, host)) !== null;
}

/** A port no one listens on now. Another program may take it later: the caller tries again then. */
export async function findFreePort(): Promise<number> {
  const port = await tryListen(0, LOOPBACK);
  if (port === null) throw new Error("the system gave no free loopback port");
  return port;
}

async function tryListen(port: number, host: string): Promise<number | null> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : null;
      server.close(() => resolve(bound));
    });
  });
}

/** Remembered ports of one data folder by name; an unreadable file counts as empty. */
export class PortBook {
  readonly #file: string;
  readonly #ports: Map<string, number>;

  constructor(dataDir: string) {
    this.#file = join(dataDir, PORTS_FILE);
    this.#ports = readPorts(this.#file);
  }

  /** The remembered port when it is free now, else a fresh one, remembered from now on. */
  async take(name: string): Promise<number> {
    const remembered = this.#ports.get(name);
    if (remembered !== undefined && (await isPortFree(remembered))) return remembered;
    return await this.renew(name);
  }

  /** Forgets the port of this name and takes another one. */
  async renew(name: string): Promise<number> {
    const taken = new Set(this.#ports.values());
    let port = await findFreePort();
    while (taken.has(port)) port = await findFreePort();
    this.#ports.set(name, port);
    writeFileSync(this.#file, `${JSON.stringify(Object.fromEntries(this.#ports), null, 2)}\n`);
    return port;
  }
}

function readPorts(file: string): Map<string, number> {
  const ports = new Map<string, number>();
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return ports;
  }
  if (typeof parsed !== "object" || parsed === null) return ports;
  for (const [name, port] of Object.entries(parsed)) {
    if (Number.isInteger(port) && port > 0 && port <= PORT_MAX) ports.set(name, port as number);
  }
  return ports;
}
