// The services a gateway must be able to call before it can sell.
import type { PlatformNode } from "../node.ts";

/** One action of each. */
const NEEDED_ACTIONS: readonly string[] = [
  "user.login",
  "product.get",
  "inventory.reserve",
  "order.place",
  "payment.create",
];

export function missingServices({ broker }: PlatformNode): readonly string[] {
  return NEEDED_ACTIONS.filter(
    (action) => broker.findNextActionEndpoint(action) instanceof Error,
  ).map((action) => action.slice(0, action.indexOf(".")));
}
