// The catalogue of actions and the one typed way to call them. Calls go down the fixed order of
// CALL_ORDER; upwards there are only events (checked by test/arch).
import type { Static } from "@sinclair/typebox";
import type { CallingOptions, Context, ServiceBroker } from "moleculer";
import { auditorContract } from "./auditor.ts";
import type { ActionContract, ServiceContract } from "./contract.ts";
import type { EventOwner } from "./events.ts";
import { gatewayContract, gatewayNodeContract } from "./gateway.ts";
import { inventoryContract } from "./inventory.ts";
import type { messagingContract } from "./messaging.ts";
import { nodeContract } from "./node.ts";
import { operationsContract } from "./operations.ts";
import { orderContract } from "./order.ts";
import { paymentContract } from "./payment.ts";
import { productContract } from "./product.ts";
import { seckillContract } from "./seckill.ts";
import { userContract } from "./user.ts";

/** Highest first: a service calls only services to its right. */
export const CALL_ORDER = [
  "gateway",
  "auditor",
  "seckill",
  "order",
  "payment",
  "inventory",
  "product",
  "user",
  "node",
  "operations",
] as const;

export const CONTRACTS = {
  gateway: { ...gatewayContract, ...gatewayNodeContract },
  auditor: auditorContract,
  seckill: seckillContract,
  order: orderContract,
  payment: paymentContract,
  inventory: inventoryContract,
  product: productContract,
  user: userContract,
  node: nodeContract,
  operations: operationsContract,
} as const satisfies Record<string, ServiceContract>;

export type ServiceName = keyof typeof CONTRACTS;

type Contracts = typeof CONTRACTS;
type Messaging = typeof messagingContract;

/** Full names of all actions, such as `order.place` or `order-worker.republish`. */
export type ActionName =
  | { [S in ServiceName]: `${S}.${keyof Contracts[S] & string}` }[ServiceName]
  | `${EventOwner}-worker.${keyof Messaging}`;

type ContractOf<Name extends ActionName> =
  Name extends `${EventOwner}-worker.${infer K extends keyof Messaging}`
    ? Messaging[K]
    : Name extends `${infer S extends ServiceName}.${infer K}`
      ? K extends keyof Contracts[S]
        ? Contracts[S][K]
        : never
      : never;

export type ActionParams<Name extends ActionName> = Static<
  Extract<ContractOf<Name>, ActionContract>["params"]
>;
export type ActionResult<Name extends ActionName> = Static<
  Extract<ContractOf<Name>, ActionContract>["result"]
>;

/** Calls an action; parameters and result are checked by the compiler. Rejects with an error of
 * the catalogue (see isPlatformError) or, for a fault of the framework, with Moleculer's. */
export async function call<Name extends ActionName>(
  caller: Context | ServiceBroker,
  name: Name,
  params: ActionParams<Name>,
  options?: CallingOptions,
): Promise<ActionResult<Name>> {
  const target = caller as {
    call(name: string, params: unknown, options?: CallingOptions): Promise<unknown>;
  };
  return (await target.call(name, params, options)) as ActionResult<Name>;
}

/** The gateway's way to call the action of a route: which one is known only from the route table,
 * which is made from the contracts, and the action validates its parameters itself. */
export async function callRouted(
  caller: Context,
  name: string,
  params: unknown,
  options: CallingOptions,
): Promise<unknown> {
  return await caller.call<unknown, object>(name, params as object, options);
}
