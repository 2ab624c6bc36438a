// Whether some other node is in the middle of this buyer's attempt. Only the node that runs it knows: the
// gate may be away, and the row is not there yet.
import type { Context } from "moleculer";
import { askOtherNodes } from "../../mixins/other-nodes.ts";
import type { ActionParams, ActionResult } from "../contracts/actions.ts";
import type { Commits } from "./commits.ts";

/** Of this node alone. */
export function isTrying(
  commits: Pick<Commits, "runningOf">,
  { sale_id: saleId, user_id: userId }: ActionParams<"seckill.isTrying">,
): ActionResult<"seckill.isTrying"> {
  return { is_trying: commits.runningOf(saleId, userId) !== undefined };
}

export async function isRunningElsewhere(
  ctx: Context,
  saleId: string,
  userId: string,
): Promise<boolean> {
  const params = { sale_id: saleId, user_id: userId };
  const answers = await askOtherNodes(ctx, "seckill.isTrying", params);
  return answers.some(({ is_trying: isThere }) => isThere);
}
