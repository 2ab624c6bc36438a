// What the floors of a sale do with a request: its token is verified once and looked up from then on,
// its answer has the text of the product's. No limits, no window margin, no metrics, no log.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

const BEARER_LENGTH = "Bearer ".length;
const MS_PER_S = 1_000;
const PATH = /^\/api\/v1\/seckill\/sales\/(\d+)\/orders$/;

/** The sale of which a floor knows that it has not begun. */
export const CLOSED_SALE_ID = "1";

interface Known {
  readonly userId: string;
  readonly expiresAtS: number;
}

export class FloorBuyers {
  readonly #key: KeyObject;
  readonly #known = new Map<string, Known>();

  constructor(jwtSecret: string) {
    this.#key = createSecretKey(Buffer.from(jwtSecret, "utf8"));
  }

  /** Undefined for a token that does not hold. */
  userOf({ headers: { authorization = "" } }: IncomingMessage): string | undefined {
    const token = authorization.slice(BEARER_LENGTH);
    const known = this.#known.get(token) ?? this.#verify(token);
    return known === undefined || known.expiresAtS * MS_PER_S < Date.now()
      ? undefined
      : known.userId;
  }

  #verify(token: string): Known | undefined {
    const end = token.lastIndexOf(".");
    const expected = createHmac("sha256", this.#key).update(token.slice(0, end)).digest();
    const given = Buffer.from(token.slice(end + 1), "base64url");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const payload = token.slice(token.indexOf(".") + 1, end);
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as {
      sub: string;
      exp: number;
    };
    const known = { userId: claims.sub, expiresAtS: claims.exp };
    this.#known.set(token, known);
    return known;
  }
}

/** The sale a request is for; undefined for any other. */
export function saleOf({ method, url = "" }: IncomingMessage): string | undefined {
  return method === "POST" ? PATH.exec(url)?.[1] : undefined;
}

export type FloorAnswer = { readonly orderId: string } | { readonly slug: string };

export function answerBuyer(response: ServerResponse, answer: FloorAnswer): void {
  const isQueued = "orderId" in answer;
  const body = isQueued
    ? `{"code":0,"message":"OK","data":{"order_id":"${answer.orderId}","status":"queued"}}`
    : `{"code":40900,"error":"${answer.slug}","message":"No.","details":null}`;
  response.writeHead(isQueued ? 202 : 409, [
    "Content-Type",
    "application/json; charset=utf-8",
    "Content-Length",
    String(body.length),
  ]);
  response.end(body);
}

/** All that came in one turn of the event loop, at most `sizeMax` at once. */
export function perTurn<T>(
  sizeMax: number,
  send: (items: readonly T[]) => void,
): (item: T) => void {
  let waiting: T[] = [];
  const flush = (): void => {
    const items = waiting;
    waiting = [];
    if (items.length > 0) send(items);
  };
  return (item) => {
    if (waiting.length === 0) setImmediate(flush);
    waiting.push(item);
    if (waiting.length >= sizeMax) flush();
  };
}
