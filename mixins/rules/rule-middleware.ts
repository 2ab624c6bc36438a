// Holds the operator's rules on the node that does the work, whoever calls: the gateway refuses earlier
// and cheaper where it can. Before a node has read the rules it refuses nothing; a gateway is not ready
// until it has.
import type { ActionHandler, ActionSchema, Context, Middleware } from "moleculer";
import { PlatformError } from "../../services/contracts/errors.ts";
import type { CallLocals } from "../service.ts";
import type { OrderLine, RuleBoard } from "./rule-board.ts";

type Check = (board: RuleBoard, params: never, userId: string) => PlatformError | undefined;

const CHECKS: Readonly<Record<string, Check>> = {
  "order.place"(board, { items }: { items: readonly OrderLine[] }, userId) {
    const refused = board.refusalOfOrder(userId);
    if (refused !== undefined) return new PlatformError(refused);
    const over = board.lineOverLimit(items);
    if (over === undefined) return undefined;
    return new PlatformError("PURCHASE_LIMIT_EXCEEDED", {
      sku_id: over.skuId,
      per_order: over.perOrder,
    });
  },
  "seckill.buy"(board, { id }: { id: string }, userId) {
    const refused = board.refusalOfPurchase(id, userId);
    return refused === undefined ? undefined : new PlatformError(refused);
  },
  "payment.create"(board, { channel }: { channel: string }) {
    const isDisabled = board.isOn("disable_channel", channel);
    return isDisabled ? new PlatformError("PAYMENT_CHANNEL_DISABLED") : undefined;
  },
};

export function ruleMiddleware(board: RuleBoard): Middleware {
  return {
    name: "Rules",
    localAction(handler: ActionHandler, action: ActionSchema): ActionHandler {
      const check = CHECKS[action.name ?? ""];
      if (check === undefined) return handler;
      return function followRules(ctx: Context) {
        const userId = (ctx.locals as CallLocals | null)?.principal?.userId ?? "";
        const refused = check(board, ctx.params as never, userId);
        return refused === undefined
          ? (handler.call(this, ctx) as unknown)
          : Promise.reject(refused);
      };
    },
  };
}
