// Orders that were promised by a flash sale and are not written yet: their buyer is shown `queued`. The
// gateway is the only place above both the sale and the orders.
import { type Static, Type } from "@sinclair/typebox";
import type { PlatformCallContext } from "../../mixins/service.ts";
import { call } from "../contracts/actions.ts";
import { isPlatformError } from "../contracts/errors.ts";
import { Id } from "../kernel/schema.ts";
import type { Caller } from "./authenticate.ts";

export const PromisedOrder = Type.Object({ id: Id, status: Type.Literal("queued") });
type PromisedOrder = Static<typeof PromisedOrder>;

const SECKILL_TIMEOUT_MS = 500;

/** Answers where an action has failed, or throws the error on. */
export type Fallback = (failed: {
  readonly ctx: PlatformCallContext;
  readonly caller: Caller;
  readonly params: Record<string, unknown>;
  readonly error: unknown;
}) => Promise<unknown>;

const promisedOrder: Fallback = async ({ ctx, caller, params, error }): Promise<PromisedOrder> => {
  const id = params["id"];
  const userId = caller.principal?.userId;
  const isUnknown = isPlatformError(error, "ORDER_NOT_FOUND");
  if (!isUnknown || typeof id !== "string" || userId === undefined) throw error;
  const asked = { order_id: id, user_id: userId };
  const answer = await call(ctx, "seckill.isPromised", asked, {
    timeout: SECKILL_TIMEOUT_MS,
  }).catch(() => undefined);
  if (answer?.is_promised !== true) throw error;
  return { id, status: "queued" };
};

export const FALLBACKS: Readonly<Record<string, Fallback>> = { "order.get": promisedOrder };
