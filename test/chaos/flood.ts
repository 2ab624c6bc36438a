// Orders by the thousand, from a process of its own: the rig's process carries what the platform says to its
// servers, and must not be slowed by who loads it. First the most that it can do, then more.
import { randomUUID } from "node:crypto";
import { serve } from "../../scripts/bench/child-process.ts";
import type { HttpAnswer } from "../../scripts/bench/http-socket.ts";
import { requestText } from "../../scripts/bench/http-socket.ts";
import { Connections } from "../../scripts/demo/connections.ts";
import { openLoop, timed, type Timed } from "./open-loop.ts";

const S_MS = 1_000;
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
  /** How many came to what else, by status; `late` were placed too late, `none` never answered. */
  readonly others: Readonly<Record<string, number>>;
}

class Orders {
  readonly #params: FloodParams;
  readonly #connections: Connections;
  #turn = 0;

  constructor(params: FloodParams) {
    this.#params = params;
    this.#connections = new Connections({ url: params.url, sockets: SOCKETS_MAX });
  }

  async place(): Promise<HttpAnswer> {
    const { skuId, tokens } = this.#params;
    this.#turn = (this.#turn + 1) % tokens.length;
    const request = requestText({
      method: "POST",
      path: "/api/v1/orders",
      token: tokens[this.#turn] ?? "",
      address: `10.9.${String(this.#turn >> 8)}.${String(this.#turn & 0xff)}`,
      key: randomUUID(),
      body: { items: [{ sku_id: skuId, quantity: 1 }] },
    });
    return await this.#connections.send(request);
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
async function flood({ perSecond, ms, ...params }: Flooding): Promise<Flooded> {
  const orders = new Orders(params);
  const answers = await openLoop({ perSecond, ms }, () => orders.place());
  orders.close();
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
