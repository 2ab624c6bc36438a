// A TCP relay in front of a real server, to make the way to it bad, or cut it, for one client alone.
// It passes bytes on in their order and makes none up.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { must } from "../../services/kernel/assert.ts";

/** Chunks that wait on one connection; beyond this its sender is paused. */
const WAITING_CHUNKS_MAX = 1_000;
const MS_PER_S = 1_000;
/** Of a URL that names none. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  "redis:": 6379,
  "mysql:": 3306,
  "nats:": 4222,
  "http:": 80,
};

/** From the client to the server, or back. */
export type Direction = "requests" | "replies";

/** What bytes suffer on their way; several at once add up. */
export interface Toll {
  /** Time that every chunk takes, ms. */
  readonly latencyMs?: number;
  /** Up to so much more, ms, by chance. */
  readonly jitterMs?: number;
  readonly bytesPerS?: number;
  /** Chunks are cut into pieces of so many bytes. */
  readonly sliceBytes?: number;
  /** Time between the end of one side and the other's hearing of it, ms. */
  readonly slowCloseMs?: number;
  /** Makes jitter repeatable; [0, 1). */
  readonly random?: () => number;
}

export interface FaultyLink {
  /** The server's URL with this link's address. */
  readonly url: string;
  readonly port: number;
  /** Connections that have been opened through it so far. */
  readonly accepted: number;
  /** Bytes stop in both directions; connections stay open and new ones are accepted. */
  freeze(): void;
  /** Bytes of one direction stop and pass late, in their order, after mend(). */
  hold(direction: Direction): void;
  /** Bytes of one direction are lost without a trace. Connections that lost some are reset by mend(). */
  drop(direction: Direction): void;
  /** Every connection is reset, and so is every new one. */
  cut(): void;
  /** Every connection is reset; new ones work. */
  reset(): void;
  /** Bytes pass slowly from now on. */
  slow(toll: Toll): void;
  /** Bytes pass again; those held back first. */
  mend(): void;
  /** New connections go to this port of the same host. */
  pointTo(port: number): void;
  close(): void;
}

/** @param listenHost address of this end of the link, where a client of another network finds it. */
export async function faultyLink(serverUrl: string, listenHost = "127.0.0.1"): Promise<FaultyLink> {
  const target = new URL(serverUrl);
  const link = new Link(target.hostname, portOf(target));
  const port = await link.listen(listenHost);
  target.hostname = listenHost;
  target.port = String(port);
  return {
    url: target.href,
    port,
    get accepted() {
      return link.accepted;
    },
    freeze: () => {
      link.hold("requests");
      link.hold("replies");
    },
    hold: (direction) => link.hold(direction),
    drop: (direction) => link.drop(direction),
    cut: () => link.cut(),
    reset: () => link.resetAll(() => true),
    slow: (toll) => link.slow(toll),
    mend: () => link.mend(),
    pointTo: (newPort) => link.pointTo(newPort),
    close: () => link.close(),
  };
}

function portOf({ port, protocol }: URL): number {
  return port === "" ? must(DEFAULT_PORTS[protocol], `a port of ${protocol}`) : Number(port);
}

type Passage = "open" | "held" | "dropped";

class Link {
  readonly #host: string;
  #targetPort: number;
  readonly #server = createServer((client) => this.#accept(client));
  readonly #lanes = new Set<Lane>();
  readonly #passage: Record<Direction, Passage> = { requests: "open", replies: "open" };
  #toll: Toll = {};
  #isCut = false;
  #accepted = 0;

  constructor(host: string, targetPort: number) {
    this.#host = host;
    this.#targetPort = targetPort;
  }

  async listen(host: string): Promise<number> {
    this.#server.listen(0, host);
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  get accepted(): number {
    return this.#accepted;
  }

  hold(direction: Direction): void {
    this.#passage[direction] = "held";
  }

  drop(direction: Direction): void {
    this.#passage[direction] = "dropped";
  }

  cut(): void {
    this.#isCut = true;
    this.resetAll(() => true);
  }

  slow(toll: Toll): void {
    this.#toll = toll;
  }

  pointTo(port: number): void {
    this.#targetPort = port;
  }

  resetAll(isMeant: (lane: Lane) => boolean): void {
    for (const lane of [...this.#lanes]) if (isMeant(lane)) lane.reset();
  }

  mend(): void {
    this.#isCut = false;
    this.#toll = {};
    this.#passage.requests = "open";
    this.#passage.replies = "open";
    // A stream with a hole in it is no stream.
    this.resetAll((lane) => lane.hasLostBytes);
    for (const lane of this.#lanes) lane.wake();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #accept(client: Socket): void {
    client.on("error", () => undefined);
    if (this.#isCut) {
      client.resetAndDestroy();
      return;
    }
    this.#accepted += 1;
    const upstream = connect(this.#targetPort, this.#host);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    const conditions = (direction: Direction) => (): Conditions => ({
      passage: this.#passage[direction],
      toll: this.#toll,
    });
    for (const lane of [
      new Lane(client, upstream, conditions("requests")),
      new Lane(upstream, client, conditions("replies")),
    ]) {
      this.#lanes.add(lane);
      lane.ended.then(
        () => this.#lanes.delete(lane),
        () => undefined,
      );
    }
  }
}

interface Conditions {
  readonly passage: Passage;
  readonly toll: Toll;
}

interface Chunk {
  readonly bytes: Buffer;
  /** By performance.now(): chunks travel side by side and arrive in their order. */
  readonly dueMs: number;
}

/** One direction of one connection. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #conditions: () => Conditions;
  readonly #waiting: Chunk[] = [];
  readonly ended: Promise<unknown>;
  hasLostBytes = false;
  #isMoving = false;
  #hasEnded = false;

  constructor(from: Socket, to: Socket, conditions: () => Conditions) {
    this.#from = from;
    this.#to = to;
    this.#conditions = conditions;
    this.ended = new Promise((resolve) => from.once("close", resolve));
    from.on("error", () => to.destroy());
    from.on("data", (bytes) => this.#receive(bytes));
    from.on("close", () => {
      this.#hasEnded = true;
      void this.#move();
    });
  }

  reset(): void {
    this.#waiting.length = 0;
    this.#from.resetAndDestroy();
    this.#to.destroy();
  }

  /** Bytes that were held may go. */
  wake(): void {
    void this.#move();
  }

  #receive(bytes: Buffer): void {
    const { passage, toll } = this.#conditions();
    if (passage === "dropped") {
      this.hasLostBytes = true;
      return;
    }
    const size = toll.sliceBytes ?? bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.subarray(at, at + size);
      const lastMs = this.#waiting.at(-1)?.dueMs ?? 0;
      this.#waiting.push({ bytes: piece, dueMs: arrivalMs(piece.length, toll, lastMs) });
    }
    if (this.#waiting.length > WAITING_CHUNKS_MAX) this.#from.pause();
    void this.#move();
  }

  async #move(): Promise<void> {
    if (this.#isMoving) return;
    this.#isMoving = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const pauseMs = next.dueMs - performance.now();
      if (pauseMs > 0) await delay(pauseMs);
      if (this.#waiting[0] !== next) continue;
      this.#waiting.shift();
      if (this.#to.writable) this.#to.write(next.bytes);
    }
    this.#isMoving = false;
    if (this.#waiting.length > 0) return;
    this.#from.resume();
    if (this.#hasEnded) await this.#passOnTheEnd();
  }

  #next(): Chunk | undefined {
    return this.#conditions().passage === "held" ? undefined : this.#waiting[0];
  }

  async #passOnTheEnd(): Promise<void> {
    const { slowCloseMs = 0 } = this.#conditions().toll;
    if (slowCloseMs > 0) await delay(slowCloseMs);
    this.#to.end();
  }
}

function arrivalMs(bytes: number, toll: Toll, lastMs: number): number {
  const { latencyMs = 0, jitterMs = 0, bytesPerS, random = Math.random } = toll;
  const transferMs = bytesPerS === undefined ? 0 : (bytes / bytesPerS) * MS_PER_S;
  const travelMs = latencyMs + jitterMs * random();
  if (travelMs + transferMs === 0) return 0;
  return Math.max(lastMs + transferMs, performance.now() + travelMs + transferMs);
}
