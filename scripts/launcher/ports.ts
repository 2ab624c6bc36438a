// Loopback ports: finds free ones and remembers them per data folder, so that bookmarks stay valid.
import { randomInt } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const LOOPBACK = "127.0.0.1";
const PORTS_FILE = "ports.json";
const PORT_MIN = 10_000;
const PORT_MAX = 65_535;
const TRIES_MAX = 1_000;
/** The kernel's setting. */
export const KERNEL_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range";
/** What IANA sets aside for outgoing connections; the kernel's own setting is asked first. */
const IANA_DYNAMIC_PORTS: PortRange = { first: 49_152, last: PORT_MAX };

/** Both ends belong to it. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const OFFERED = offeredPorts(outgoingPorts(KERNEL_RANGE_FILE));
// Starting anywhere and going on from there keeps launchers that start side by side apart.
let next = randomInt(OFFERED.first, OFFERED.last + 1);

/** True when nothing listens on the port of this address. */
export async function isPortFree(port: number, host: string = LOOPBACK): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * A port no one listens on now, and that no outgoing connection is given before it is listened on: what `listen(0)`
 * finds comes out of the ports of outgoing connections, and a starting platform opens hundreds of those. A program
 * that asks for this very port may still take it: the caller tries again then.
 */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const port = next;
    next = port === OFFERED.last ? OFFERED.first : port + 1;
    if (await isPortFree(port)) return port;
  }
  throw new Error(`none of ${TRIES_MAX} ports from ${OFFERED.first} to ${OFFERED.last} is free`);
}

/** The ports the kernel gives to outgoing connections, as a file of `first last` says. */
export function outgoingPorts(file: string): PortRange {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return IANA_DYNAMIC_PORTS;
  }
  const [first = NaN, last = NaN] = text.trim().split(/\s+/).map(Number);
  return first <= last ? { first, last } : IANA_DYNAMIC_PORTS;
}

/** The larger of the two ranges beside the one of outgoing connections; all where that leaves none. */
export function offeredPorts(outgoing: PortRange): PortRange {
  const below = { first: PORT_MIN, last: Math.min(outgoing.first - 1, PORT_MAX) };
  const above = { first: Math.max(outgoing.last + 1, PORT_MIN), last: PORT_MAX };
  const larger = below.last - below.first >= above.last - above.first ? below : above;
  const hasRoom = larger.last - larger.first >= TRIES_MAX;
  return hasRoom ? larger : { first: PORT_MIN, last: PORT_MAX };
}

function isOffered(port: number): boolean {
  return port >= OFFERED.first && port <= OFFERED.last;
}

/** Remembered ports of one data folder by name; an unreadable file counts as empty. */
export class PortBook {
  readonly #file: string;
  readonly #ports: Map<string, number>;

  constructor(dataDir: string) {
    this.#file = join(dataDir, PORTS_FILE);
    this.#ports = readPorts(this.#file);
  }

  /** The remembered port when it is free now and no outgoing connection's, else a fresh one, remembered from now on. */
  async take(name: string): Promise<number> {
    const remembered = this.#ports.get(name);
    if (remembered === undefined || !isOffered(remembered)) return await this.renew(name);
    return (await isPortFree(remembered)) ? remembered : await this.renew(name);
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
