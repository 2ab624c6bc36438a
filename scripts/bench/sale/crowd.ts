// The crowd of a measured sale, in a process of its own: made-up buyers with tokens and addresses, who
// come in a closed loop (for peaks) or on a timetable that the shop cannot slow down (for latencies).
import { createAccessTokens } from "../../../mixins/auth/tokens.ts";
import { systemClock } from "../../../services/kernel/clock.ts";
import { serve } from "../child-process.ts";
import { HttpSocket } from "../http-socket.ts";
import { CrowdEar, type Heard } from "./crowd-ear.ts";

/** Requests of one visit; an answer that asks for patience is followed by another one. */
const TRIES_MAX = 100;
const RETRY_MS = 20;
const PATIENCE_SLUGS: ReadonlySet<string> = new Set([
  "OVERLOADED",
  "SERVICE_UNAVAILABLE",
  "RATE_LIMITED",
  "SECKILL_NOT_STARTED",
]);
const MS_PER_S = 1_000;

export interface PeopleParams {
  readonly jwtSecret: string;
  /** Id of the first one; the others count up. */
  readonly firstId: string;
  readonly count: number;
}

/** Where the crowd goes: visit k is of person k % people, to ... */
export interface VisitParams {
  readonly url: string;
  readonly paths: readonly string[];
  readonly sockets: number;
  /** `spread`: ... path k % paths. `inTurn`: ... each path by everybody before the next path. */
  readonly route: "spread" | "inTurn";
  /** The first visit's number. */
  readonly firstVisit?: number;
  /** Ends after this many visits, */
  readonly visits?: number;
  /** or after this time. */
  readonly seconds?: number;
  /** Whether a busy shop is asked again; without it every answer is final. */
  readonly isPatient: boolean;
}

export interface TimetableParams extends VisitParams {
  readonly visits: number;
  readonly ratePerS: number;
}

/** Everything of a person's request behind its first line. */
let people: readonly string[] = [];

serve({
  people({ jwtSecret, firstId, count }: PeopleParams) {
    const tokens = createAccessTokens({ current: jwtSecret }, systemClock);
    const first = BigInt(firstId);
    people = Array.from({ length: count }, (_, index) => {
      const userId = String(first + BigInt(index));
      const token = tokens.sign({ userId, role: "customer", familyId: userId });
      return requestTail(token, addressOf(index));
    });
  },
  closed: (params: VisitParams) => new Visits(params).closed(),
  timetable: (params: TimetableParams) => new Visits(params).onTimetable(params),
});

/** Told to the server as the client's: everybody has one of his own, up to 2^24. */
function addressOf(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}

function requestTail(token: string, address: string): string {
  return [
    " HTTP/1.1",
    "Host: shop",
    `X-Forwarded-For: ${address}`,
    `Authorization: Bearer ${token}`,
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}

class Visits {
  readonly #params: VisitParams;
  readonly #ear = new CrowdEar();
  readonly #heads: readonly string[];
  #next: number;
  readonly #end: number;
  #isOver = false;

  constructor(params: VisitParams) {
    const { paths, firstVisit = 0, visits = Number.MAX_SAFE_INTEGER } = params;
    this.#params = params;
    this.#heads = paths.map((path) => `POST ${path}`);
    this.#next = firstVisit;
    this.#end = firstVisit + visits;
  }

  /** Every socket's next visit begins when its last one is answered. */
  async closed(): Promise<Heard> {
    const { sockets, url, seconds } = this.#params;
    const timer =
      seconds === undefined
        ? undefined
        : setTimeout(() => {
            this.#isOver = true;
          }, seconds * MS_PER_S);
    const all = Array.from({ length: sockets }, () => new HttpSocket(url));
    this.#ear.begin();
    await Promise.all(all.map((socket) => this.#visitFrom(socket)));
    clearTimeout(timer);
    for (const socket of all) socket.close();
    return this.#ear.tell();
  }

  /** Visits begin when they are due; who finds no free socket waits, and his waiting counts. */
  async onTimetable({ ratePerS, visits }: TimetableParams): Promise<Heard> {
    const { sockets, url } = this.#params;
    const all = Array.from({ length: sockets }, () => new HttpSocket(url));
    const free = [...all];
    const line: { visit: number; dueMs: number }[] = [];
    this.#ear.begin();
    const startMs = performance.now();
    let open = 0;
    let done: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (done = resolve));
    const start = (
      socket: HttpSocket,
      { visit, dueMs }: { visit: number; dueMs: number },
    ): void => {
      void this.#visit(socket, visit, dueMs).then(() => {
        open -= 1;
        const waiting = line.shift();
        if (waiting === undefined) free.push(socket);
        else start(socket, waiting);
        if (open === 0 && this.#next >= this.#end) done();
      });
    };
    const first = this.#next;
    const tick = (): void => {
      const due = Math.min(
        visits,
        Math.floor(((performance.now() - startMs) * ratePerS) / MS_PER_S),
      );
      for (; this.#next - first < due; this.#next += 1) {
        const dueMs = startMs + ((this.#next - first + 1) * MS_PER_S) / ratePerS;
        const visit = { visit: this.#next, dueMs };
        open += 1;
        const socket = free.pop();
        if (socket === undefined) line.push(visit);
        else start(socket, visit);
      }
      if (this.#next >= this.#end) clearInterval(timer);
    };
    const timer = setInterval(tick, 1);
    await ended;
    for (const socket of all) socket.close();
    return this.#ear.tell();
  }

  async #visitFrom(socket: HttpSocket): Promise<void> {
    while (!this.#isOver && this.#next < this.#end) {
      const visit = this.#next;
      this.#next += 1;
      await this.#visit(socket, visit, performance.now());
    }
  }

  async #visit(socket: HttpSocket, visit: number, dueMs: number): Promise<void> {
    const request = this.#requestOf(visit);
    for (let tries = 1; ; tries += 1) {
      const slug = await this.#ask(socket, request, dueMs);
      const isAskedAgain = this.#params.isPatient && PATIENCE_SLUGS.has(slug);
      if (!isAskedAgain || tries === TRIES_MAX) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #ask(socket: HttpSocket, request: string, dueMs: number): Promise<string> {
    try {
      return this.#ear.hear(await socket.send(request), performance.now() - dueMs);
    } catch {
      return this.#ear.miss();
    }
  }

  #requestOf(visit: number): string {
    const { route, paths } = this.#params;
    const pathIndex = route === "spread" ? visit : Math.floor(visit / people.length);
    const head = this.#heads[pathIndex % paths.length] ?? "";
    return head + (people[visit % people.length] ?? "");
  }
}
