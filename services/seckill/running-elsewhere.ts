// Whether some other node is in the middle of this buyer's attempt. Only the node that runs it knows: the
// gate may be away, and the row is not there yet. A node that does not answer in time is left out.
import type { Context } from "moleculer";
import { otherNodesWith } from "../../mixins/other-nodes.ts";
import { type ActionParams, type ActionResult, call } from "../contracts/actions.ts";
import type { Commits } from "./commits.ts";

/** Of the gateway's three seconds; a living node answers from memory. */
const ANSWER_TIMEOUT_MS = 500;
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
  const answers = await Promise.all(
    otherNodesWith(ctx.broker, "seckill").map(async (nodeID) => {
      const options = { nodeID, timeout: ANSWER_TIMEOUT_MS };
      const answer = await call(ctx, "seckill.isTrying", params, options).catch(() => undefined);
      return answer?.is_trying === true;
    }),
  );
  return answers.includes(true);
}
