// Floor S: node:http, a token that was seen before, one EVALSHA for all buyers of a turn. One process,
// no database: what it sells is nowhere but in Redis.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "../child-process.ts";
import { answerBuyer, CLOSED_SALE_ID, FloorBuyers, perTurn, saleOf } from "./floor-buyers.ts";
import { FloorGate } from "./floor-gate.ts";

const TURN_MAX = 256;

export interface SkeletonParams {
  readonly jwtSecret: string;
  readonly redisUrl: string;
  readonly namespace: string;
}

interface Waiting {
  readonly userId: string;
  readonly response: ServerResponse;
}

let gate: FloorGate | undefined;
let saleId = "";

async function answerTurn(turn: readonly Waiting[]): Promise<void> {
  const answers = await gate?.admit(
    saleId,
    turn.map(({ userId }) => userId),
  );
  turn.forEach(({ response }, index) => {
    answerBuyer(response, answers?.[index] ?? { slug: "SERVICE_UNAVAILABLE" });
  });
}

serve({
  /** Answers the port. */
  listen({ jwtSecret, redisUrl, namespace }: SkeletonParams) {
    const buyers = new FloorBuyers(jwtSecret);
    gate = new FloorGate(redisUrl, namespace);
    const add = perTurn<Waiting>(TURN_MAX, (turn) => void answerTurn(turn));
    const server = createServer((request, response) => {
      const userId = buyers.userOf(request);
      const sale = saleOf(request);
      if (userId === undefined) answerBuyer(response, { slug: "AUTH_TOKEN_INVALID" });
      else if (sale === CLOSED_SALE_ID) answerBuyer(response, { slug: "SECKILL_NOT_STARTED" });
      else add({ userId, response });
    });
    return new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  },
  async open(sale: { readonly id: string; readonly units: number }) {
    saleId = sale.id;
    await gate?.open(sale.id, sale.units);
  },
});
