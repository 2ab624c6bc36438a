// The fast lane of a flash sale: one request, POST …/seckill/sales/{id}/orders, from its head to its
// answer without a router, an action per request or a body. Losers are answered here as far as that is
// certain; everybody else goes to the sale's service, all of a turn in one call.
//
// Order of the guards, cheapest and most refusing first: load, token, limits, the operator's rules,
// window, sold-out mark, pass. What the lane does not know it does not refuse: the gate and the commit
// decide. A sale that is not known here yet is bought from the ordinary way, where its service checks the
// pass; so is a request whose trace is wanted, for the lane makes no spans.
//
// The limits of this route are each node's own: no round trip stands between a buyer and the gate.
// A buyer who spreads his requests over n gateways can send n times as many; he still gets one unit.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AccessTokens, Principal } from "../../../mixins/auth/tokens.ts";
import type { PurchasePasses } from "../../../mixins/auth/purchase-passes.ts";
import type { RuleBoard } from "../../../mixins/rules/rule-board.ts";
import type { SaleSnapshot } from "../../contracts/seckill.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { ClientAddress } from "../client-address.ts";
import { createLocalGcra, type LocalGcra } from "../local-gcra.ts";
import { requestIdFor } from "../preflight.ts";
import { BURST_FACTOR } from "../rate-limit.ts";
import type { Sessions } from "../sessions.ts";
import { type Admissions } from "./admissions.ts";
import {
  type BuyAnswer,
  type CorsOf,
  extraHead,
  refusal,
  sendAnswer,
  statusOf,
} from "./answers.ts";
import { attemptOf, bearerOf, saleToBuyFrom } from "./buy-request.ts";
import type { LoadGuard } from "./load-guard.ts";
import type { SaleSnapshots } from "./sale-snapshots.ts";
import type { SoldOutMarks } from "./sold-out-marks.ts";

export interface LaneParts {
  readonly tokens: Pick<AccessTokens, "verify">;
  readonly sessions: Pick<Sessions, "isRevoked">;
  readonly passes: Pick<PurchasePasses, "isValid">;
  readonly rules: Pick<RuleBoard, "isKnown" | "refusalOfPurchase">;
  readonly addressOf: ClientAddress;
  /** Requests per second; 0 = off. */
  readonly limits: { readonly user: number; readonly ip: number; readonly node: number };
  readonly snapshots: Pick<SaleSnapshots, "find" | "refusalOf">;
  readonly marks: Pick<SoldOutMarks, "isSoldOutFor">;
  readonly admissions: Admissions;
  readonly load: Pick<LoadGuard, "isOverloaded" | "enter" | "leave">;
  readonly clock: Clock;
  /** Whether the trace of this request is wanted. */
  readonly isTraced: (request: IncomingMessage) => boolean;
  readonly corsOf: CorsOf;
  readonly onLimited: (rule: string) => void;
  readonly onAnswer: (answered: Answered) => void;
}

/** A request that has been answered. */
export interface Answered {
  readonly saleId: string;
  readonly userId: string | undefined;
  readonly requestId: string;
  readonly answer: BuyAnswer;
  readonly status: number;
  readonly durationMs: number;
}

export interface FastLane {
  /** False when the request is not for the lane. */
  take(request: IncomingMessage, response: ServerResponse): boolean;
  /** From now on connections are closed after their answer. */
  drain(): void;
}

interface Visit {
  readonly sale: SaleSnapshot;
  readonly requestId: string;
  readonly arrivedMs: number;
  readonly response: ServerResponse;
  readonly origin: string | undefined;
  userId: string | undefined;
}

export function createFastLane(parts: LaneParts): FastLane {
  return new SaleLane(parts);
}

class SaleLane implements FastLane {
  readonly #parts: LaneParts;
  readonly #users: LocalGcra;
  readonly #addresses: LocalGcra;
  #isDraining = false;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.#users = createLocalGcra(parts.clock);
    this.#addresses = createLocalGcra(parts.clock);
  }

  take(request: IncomingMessage, response: ServerResponse): boolean {
    const saleId = saleToBuyFrom(request);
    const sale = saleId === undefined ? undefined : this.#parts.snapshots.find(saleId);
    if (sale === undefined || this.#parts.isTraced(request)) return false;
    const visit: Visit = {
      sale,
      requestId: requestIdFor(request),
      arrivedMs: this.#parts.clock.monotonic(),
      response,
      origin: request.headers.origin,
      userId: undefined,
    };
    const refused = this.#refusalOf(request, visit);
    if (refused === undefined) this.#admit(request, visit);
    else this.#answer(visit, refused);
    return true;
  }

  drain(): void {
    this.#isDraining = true;
  }

  #refusalOf(request: IncomingMessage, visit: Visit): BuyAnswer | undefined {
    if (this.#parts.load.isOverloaded()) return refusal("OVERLOADED");
    const token = bearerOf(request.headers);
    const principal = this.#principalOf(token);
    visit.userId = principal?.userId;
    const limited = this.#limited(request, principal);
    if (limited !== undefined) return limited;
    if (principal === undefined) {
      return refusal(token === undefined ? "AUTH_REQUIRED" : "AUTH_TOKEN_INVALID");
    }
    return this.#refusalBySale(request, visit.sale, principal);
  }

  #refusalBySale(
    request: IncomingMessage,
    sale: SaleSnapshot,
    { userId }: Principal,
  ): BuyAnswer | undefined {
    const { snapshots, marks, passes, rules } = this.#parts;
    if (!rules.isKnown()) return refusal("SERVICE_UNAVAILABLE");
    const ruled = rules.refusalOfPurchase(sale.id, userId);
    if (ruled !== undefined) return refusal(ruled);
    const closed = snapshots.refusalOf(sale);
    if (closed !== undefined) return refusal(closed);
    if (marks.isSoldOutFor(sale.id, userId)) return refusal("SECKILL_SOLD_OUT");
    if (!sale.pass_required) return undefined;
    const given = request.headers["x-seckill-pass"];
    const pass = typeof given === "string" ? given : undefined;
    const isValid = passes.isValid(pass, { saleId: sale.id, userId });
    return isValid ? undefined : refusal("SECKILL_PASS_REQUIRED");
  }

  #principalOf(token: string | undefined): Principal | undefined {
    const { tokens, sessions } = this.#parts;
    const principal = token === undefined ? undefined : tokens.verify(token);
    return principal === undefined || sessions.isRevoked(principal) ? undefined : principal;
  }

  #limited(request: IncomingMessage, principal: Principal | undefined): BuyAnswer | undefined {
    const { limits, addressOf } = this.#parts;
    const forwarded = request.headers["x-forwarded-for"];
    const address = addressOf(
      request.socket.remoteAddress,
      typeof forwarded === "string" ? forwarded : forwarded?.join(","),
    );
    return (
      this.#takeOne(this.#addresses, "node", "", limits.node) ??
      this.#takeOne(this.#addresses, "ip", address, limits.ip) ??
      (principal === undefined
        ? undefined
        : this.#takeOne(this.#users, "user", principal.userId, limits.user))
    );
  }

  #takeOne(from: LocalGcra, rule: string, key: string, perSecond: number): BuyAnswer | undefined {
    if (perSecond === 0) return undefined;
    const taken = from.take({ key, perSecond, burst: perSecond * BURST_FACTOR });
    if (taken.isAllowed) return undefined;
    this.#parts.onLimited(rule);
    const { retryAfterMs, limit } = taken;
    return { kind: "refused", slug: "RATE_LIMITED", retryAfterMs, limit };
  }

  #admit(request: IncomingMessage, visit: Visit): void {
    const { admissions, load } = this.#parts;
    const { arrivedMs, userId = "" } = visit;
    const saleId = visit.sale.id;
    const attemptId = attemptOf(request.headers, visit.requestId);
    load.enter();
    const answer = (given: BuyAnswer): void => {
      load.leave();
      this.#answer(visit, given);
    };
    admissions.submit({ saleId, userId, attemptId, arrivedMs, answer });
  }

  #answer(visit: Visit, answer: BuyAnswer): void {
    const { clock, corsOf, onAnswer } = this.#parts;
    const { userId, requestId, response, arrivedMs, origin } = visit;
    const saleId = visit.sale.id;
    sendAnswer(response, requestId, answer, extraHead(corsOf, origin, this.#isDraining));
    const durationMs = clock.monotonic() - arrivedMs;
    onAnswer({ saleId, userId, requestId, answer, status: statusOf(answer), durationMs });
  }
}
