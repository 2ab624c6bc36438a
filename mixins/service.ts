// Makes a Moleculer service out of a contract and its handlers, so that parameters, principal and
// result are checked by the compiler and no action can lack its authorisation or time-out.
import type { ActionSchema, Context, ServiceSchema } from "moleculer";
import type {
  ActionContract,
  ParamsOf,
  ResultOf,
  ServiceContract,
} from "../services/contracts/contract.ts";
import type { Principal } from "./auth/tokens.ts";
import type { IdempotencyClaim } from "./idempotency/idempotency.ts";

type PrincipalOf<A extends ActionContract> = A["auth"] extends "customer" | "admin"
  ? Principal
  : A["auth"] extends "optional"
    ? Principal | undefined
    : undefined;

export interface ActionCall<A extends ActionContract> {
  readonly params: ParamsOf<A>;
  /** Who calls, from a token verified on this node; undefined where no token is needed. */
  readonly principal: PrincipalOf<A>;
  /** The Idempotency-Key of the request, when there was one. */
  readonly idempotency: IdempotencyClaim | undefined;
  /** For calls to services further down. */
  readonly ctx: PlatformCallContext;
}

export type PlatformCallContext = Context<unknown, CallMeta>;

/** What travels with a request over the bus. No authority: the token is verified where it counts. */
export interface CallMeta {
  token?: string;
  traceparent?: string;
  /** X-Request-Id of the HTTP request; the trace has an id of its own. */
  requestId?: string;
  /** Address the request counts under; for throttles, never for decisions. */
  clientIp?: string;
  /** The release whose nodes the request is for. */
  release?: string;
  /** Set by a service that answered from a stored idempotency key. */
  isReplay?: boolean;
}

/** Headers of one hop; never inherited by calls further down. */
export interface CallHeaders {
  /** Wall-clock time in ms after which nobody waits for the answer any more. */
  deadline_ms?: number;
  idempotency_route?: string;
  idempotency_key?: string;
  idempotency_fingerprint?: string;
  /** X-Seckill-Pass of the HTTP request. */
  seckill_pass?: string;
}

export type Handlers<C extends ServiceContract> = {
  readonly [K in keyof C]: (call: ActionCall<C[K]>) => Promise<ResultOf<C[K]>>;
};

export interface ImplementOptions<C extends ServiceContract> {
  /** Calls of one action that run at once on one node, and how many may wait. */
  readonly bulkheads?: Partial<Record<keyof C, { concurrency: number; maxQueueSize: number }>>;
}

/** How the authorisation middleware hands the verified principal on. */
export interface CallLocals {
  principal?: Principal;
}

/** The actions of a service whose contract is `contract`. */
export function implement<C extends ServiceContract>(
  contract: C,
  handlers: Handlers<C>,
  options: ImplementOptions<C> = {},
): NonNullable<ServiceSchema["actions"]> {
  const actions: Record<string, ActionSchema> = {};
  for (const [name, action] of Object.entries(contract)) {
    const handler = handlers[name as keyof C] as (call: unknown) => Promise<unknown>;
    const bulkhead = options.bulkheads?.[name as keyof C];
    actions[name] = {
      ...metadataOf(action),
      ...(bulkhead === undefined ? {} : { bulkhead: { enabled: true, ...bulkhead } }),
      handler: (ctx: Context) => handler(callOf(ctx)),
    };
  }
  return actions;
}

function metadataOf(action: ActionContract): ActionSchema {
  return {
    params: action.params,
    auth: action.auth,
    visibility: "published",
    ...(action.timeoutMs === undefined ? {} : { timeout: action.timeoutMs }),
    retryPolicy: { enabled: action.idempotent, retries: 1 },
  } as unknown as ActionSchema;
}

function callOf(ctx: Context): object {
  const principal = (ctx.locals as CallLocals | null)?.principal;
  return { params: ctx.params, principal, idempotency: claimOf(ctx, principal), ctx };
}

function claimOf(ctx: Context, principal: Principal | undefined): IdempotencyClaim | undefined {
  const headers = ctx.headers as CallHeaders | null;
  if (principal === undefined || headers?.idempotency_key === undefined) return undefined;
  return {
    userId: principal.userId,
    route: headers.idempotency_route ?? "",
    key: headers.idempotency_key,
    fingerprint: headers.idempotency_fingerprint ?? "",
  };
}
