// The story of a buyer at a flash sale, as its service tells it, with what only the gateways know: when he
// came and what he was answered. Every gateway remembers its own answers and is asked; one that does not
// answer in time is left out, as are answers that nobody remembers any more.
import type { ServerResponse } from "node:http";
import type { ServiceSchema } from "moleculer";
import { askOtherNodes } from "../../mixins/other-nodes.ts";
import { implement } from "../../mixins/service.ts";
import type { ActionParams, ActionResult } from "../contracts/actions.ts";
import { type BuyAttempt, gatewayNodeContract } from "../contracts/gateway.ts";
import { byTime } from "../kernel/by-time.ts";
import { type Clock } from "../kernel/clock.ts";
import type { Composition } from "./compositions.ts";
import type { AttemptMemory, RememberedAttempts } from "./fast-lane/attempt-memory.ts";
import { publicSlug, requestIdOf } from "./http-errors.ts";
import { factsOf } from "./request-observer.ts";

type Mine = ActionResult<"seckill.mine">;
type Story = NonNullable<Mine["story"]>;
type Attempts = ActionResult<"gateway.attemptsOf">;

/** Of this node alone. */
function attemptsOf(
  memory: AttemptMemory,
  { sale_id: saleId, user_id: userId }: ActionParams<"gateway.attemptsOf">,
): Attempts {
  const { items, forgotten } = memory.of(saleId, userId);
  return { items: [...items], forgotten };
}

/** What gateways ask each other, as actions of the gateway's service. */
export function attemptActions(memory: AttemptMemory): NonNullable<ServiceSchema["actions"]> {
  return implement(gatewayNodeContract, {
    attemptsOf: ({ params }) => Promise.resolve(attemptsOf(memory, params)),
  });
}

export function storyComposition(memory: AttemptMemory): Composition {
  return async (ctx, result: Mine, { params, caller }) => {
    const { story } = result;
    const userId = caller.principal?.userId;
    const saleId = params["id"];
    if (story === undefined || userId === undefined || typeof saleId !== "string") return result;
    const own = memory.of(saleId, userId);
    const asked = { sale_id: saleId, user_id: userId };
    const others = await askOtherNodes(ctx.broker, "gateway.attemptsOf", asked);
    // First, so that an arrival stands before what it led to in the same millisecond.
    const told = [own, ...others].flatMap(storyOf);
    return { ...result, story: [...told, ...story].sort(byTime) };
  };
}

function storyOf({ items, forgotten }: RememberedAttempts): Story {
  const told = items.flatMap(tellAttempt);
  const [first] = items;
  if (forgotten === 0 || first === undefined) return told;
  const details = { attempts: forgotten };
  return [
    { at: first.arrived_at, what: "had asked before, which is only counted", details },
    ...told,
  ];
}

function tellAttempt({ arrived_at, answered_at, outcome, request_id }: BuyAttempt): Story {
  const answer = ANSWERS[outcome];
  return [
    { at: arrived_at, what: "asked for a unit", details: { request_id } },
    {
      at: answered_at,
      what: answer ?? "was refused",
      details: { request_id, ...(answer === undefined ? { reason: outcome } : {}) },
    },
  ];
}

/** Of what is no refusal. */
const ANSWERS: Readonly<Record<string, string | undefined>> = {
  queued: "was promised an order",
  waiting: "was told to wait, which promises nothing",
};

export type NoteAttempt = (
  attempt: { readonly saleId: string; readonly response: ServerResponse },
  answering: Promise<unknown>,
) => Promise<void>;

/** Remembers an attempt that does not go through the fast lane; settles as its answering does. */
export function attemptNotes(memory: AttemptMemory, clock: Clock): NoteAttempt {
  return async ({ saleId, response }, answering) => {
    const note = (outcome: string): void => {
      const { userId, startedMs } = factsOf(response) ?? {};
      const requestId = requestIdOf(response);
      if (userId === undefined || startedMs === undefined || requestId === undefined) return;
      memory.note({
        saleId,
        userId,
        requestId,
        outcome,
        durationMs: clock.monotonic() - startedMs,
      });
    };
    try {
      const { status } = (await answering) as ActionResult<"seckill.buy">;
      note(status);
    } catch (error) {
      note(publicSlug(error));
      throw error;
    }
  };
}
