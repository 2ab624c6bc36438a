// Floor F, first process: node:http, a token that was seen before, one NATS request for all buyers of a
// turn, whose answer comes after their commit.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { connect, type NatsConnection } from "nats";
import { serve } from "../child-process.ts";
import { answerBuyer, CLOSED_SALE_ID, FloorBuyers, perTurn, saleOf } from "./floor-buyers.ts";
import { type AdmitReply, admitSubject, natsOptions } from "./floor-wire.ts";

const TURN_MAX = 256;
const ADMIT_TIMEOUT_MS = 5_000;

export interface GatewayParams {
  readonly jwtSecret: string;
  readonly natsUrl: string;
  readonly namespace: string;
}

interface Waiting {
  readonly saleId: string;
  readonly userId: string;
  readonly response: ServerResponse;
}

serve({
  /** Answers the port. */
  async listen({ jwtSecret, natsUrl, namespace }: GatewayParams) {
    const nats = await connect(natsOptions(natsUrl));
    const subject = admitSubject(namespace);
    const buyers = new FloorBuyers(jwtSecret);
    const add = perTurn<Waiting>(TURN_MAX, (turn) => {
      void admitTurn(nats, subject, turn);
    });
    const server = createServer((request, response) => {
      const userId = buyers.userOf(request);
      const saleId = saleOf(request);
      if (userId === undefined) answerBuyer(response, { slug: "AUTH_TOKEN_INVALID" });
      else if (saleId === undefined) answerBuyer(response, { slug: "ROUTE_NOT_FOUND" });
      else if (saleId === CLOSED_SALE_ID) answerBuyer(response, { slug: "SECKILL_NOT_STARTED" });
      else add({ saleId, userId, response });
    });
    return await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  },
});

/** One request per turn; buyers of several sales travel together. */
async function admitTurn(
  nats: NatsConnection,
  subject: string,
  turn: readonly Waiting[],
): Promise<void> {
  const params = turn.flatMap(({ saleId, userId }) => [saleId, userId]);
  let reply: AdmitReply = [];
  try {
    const message = await nats.request(subject, JSON.stringify(params), {
      timeout: ADMIT_TIMEOUT_MS,
    });
    reply = message.json<AdmitReply>();
  } catch {
    // Answered below as not available.
  }
  turn.forEach(({ response }, index) => {
    answerBuyer(response, reply[index] ?? { slug: "SERVICE_UNAVAILABLE" });
  });
}
