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

/** Until the operator's rules have been read, the service that tells them counts as missing. */
export function missingServices({ broker, rules }: PlatformNode): readonly string[] {
  const missing = NEEDED_ACTIONS.filter(
    (action) => broker.findNextActionEndpoint(action) instanceof Error,
  ).map((action) => action.slice(0, action.indexOf(".")));
  return rules.isKnown() ? missing : [...missing, "operations"];
}
