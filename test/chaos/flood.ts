// Orders by the thousand, from a process of its own: the rig's process carries what the platform says to its
// servers, and must not be slowed by who loads it. First the most that it can do, then more.
import { randomUUID } from "node:crypto";
import { serve } from "../../scripts/bench/child-process.ts";
import type { HttpAnswer } from "../../scripts/bench/http-socket.ts";
import { requestText } from "../../scripts/bench/http-socket.ts";
import { Connections } from "../../scripts/demo/connections.ts";
import { openLoop, timed, type Timed } from "./open-loop.ts";

const S_MS = 1_000;
const US_PER_MS = 1_000;
const SOCKETS_MAX = 4_096;
/** Buyers who order again as soon as they are answered; the first level only warms up. */
const PEAK_LEVELS = [64, 64, 128, 256] as const;
const LEVEL_MS = 3_000;
/** An answer that comes later than this is of no use to its customer. */
const USEFUL_MS = 3_000;
const RETRY_AFTER = /\r\nretry-after: *\d/i;

interface FloodParams {
  readonly url: string;
  readonly skuId: string;
  readonly tokens: readonly string[];
}

interface Flooding extends FloodParams {
  /** Where what is more than the shop can take is sent instead; with it the flood is its own floor. */
  readonly surplus?: { readonly url: string; readonly share: number };
  /** Connections that are open when it begins; others are opened when they are needed. */
  readonly standing: number;
  readonly perSecond: number;
  readonly ms: number;
}

/** Of all requests of a flood. */
export interface Flooded {
  readonly sent: number;
  /** Orders that were placed while it still was of use. */
  readonly good: number;
  readonly refused: number;
  readonly refusedWithoutRetryAfter: number;
  readonly refusedP50Ms: number;
  /** What the flood itself took of the machine that it shares with the shop. */
  readonly generatorCores: number;
  /** How many came to what else, by status; `late` were placed too late, `none` never answered. */
  readonly others: Readonly<Record<string, number>>;
}

/** Stands for the idempotency key in a prepared request: what the flood costs, the shop has not. */
const KEY_MARK = "{key}";

class Orders {
  readonly #connections: Connections;
  /** What comes before and after the key, by customer. */
  readonly #prepared: readonly (readonly string[])[];
  #turn = 0;

  constructor({ url, skuId, tokens }: FloodParams) {
    this.#connections = new Connections({ url, sockets: SOCKETS_MAX });
    this.#prepared = tokens.map((token, turn) =>
      requestText({
        method: "POST",
        path: "/api/v1/orders",
        token,
        address: `10.9.${String(turn >> 8)}.${String(turn & 0xff)}`,
        key: KEY_MARK,
        body: { items: [{ sku_id: skuId, quantity: 1 }] },
      }).split(KEY_MARK),
    );
  }

  async place(): Promise<HttpAnswer> {
    this.#turn = (this.#turn + 1) % this.#prepared.length;
    const [before = "", after = ""] = this.#prepared[this.#turn] ?? [];
    return await this.#connections.send(before + randomUUID() + after);
  }

  async arrive(count: number): Promise<void> {
    const request = requestText({ method: "GET", path: "/livez", address: "10.9.0.1" });
    const asked = Array.from({ length: count }, () => this.#connections.send(request));
    await Promise.all(asked);
  }

  close(): void {
    this.#connections.close();
  }
}

function isGood({ answer, tookMs }: Timed<HttpAnswer>): boolean {
  return answer?.status === 201 && tookMs <= USEFUL_MS;
}

/** Orders per second at the best of a few numbers of buyers. */
async function peak(params: FloodParams): Promise<number> {
  const orders = new Orders(params);
  let best = 0;
  for (const [index, buyers] of PEAK_LEVELS.entries()) {
    const endMs = performance.now() + LEVEL_MS;
    let good = 0;
    const loop = async (): Promise<void> => {
      while (performance.now() < endMs) if (isGood(await timed(() => orders.place()))) good += 1;
    };
    await Promise.all(Array.from({ length: buyers }, loop));
    if (index > 0) best = Math.max(best, good / (LEVEL_MS / S_MS));
  }
  orders.close();
  return best;
}

/** So many orders per second whatever is answered. */
async function flood({ perSecond, ms, standing, surplus, ...params }: Flooding): Promise<Flooded> {
  const orders = new Orders(params);
  const elsewhere = surplus && new Orders({ ...params, url: surplus.url });
  await Promise.all([orders.arrive(standing), elsewhere?.arrive(standing)]);
  const before = process.cpuUsage();
  let due = 0;
  const answers = await openLoop({ perSecond, ms }, () => {
    due += surplus?.share ?? 0;
    if (due < 1) return orders.place();
    due -= 1;
    return elsewhere!.place();
  });
  const { user, system } = process.cpuUsage(before);
  orders.close();
  elsewhere?.close();
  const refused = answers.filter(({ answer }) => answer?.status === 503);
  const refusedMs = refused.map(({ tookMs }) => tookMs).sort((left, right) => left - right);
  const good = answers.filter(isGood).length;
  return {
    sent: answers.length,
    good,
    refused: refused.length,
    refusedWithoutRetryAfter: refused.filter(({ answer }) => !RETRY_AFTER.test(answer?.head ?? ""))
      .length,
    refusedP50Ms: refusedMs[Math.floor(refusedMs.length / 2)] ?? 0,
    generatorCores: (user + system) / US_PER_MS / ms,
    others: countOthers(answers.filter((one) => !isGood(one) && one.answer?.status !== 503)),
  };
}

function countOthers(answers: readonly Timed<HttpAnswer>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { answer } of answers) {
    const kind = answer?.status === 201 ? "late" : String(answer?.status ?? "none");
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

serve({ peak, flood });
