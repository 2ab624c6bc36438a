// What an action promises: parameters, result, who may call it, its route and how it may be
// repeated. One object gives the TypeScript types, the validation and the OpenAPI document.
import type { Static, TObject, TSchema } from "@sinclair/typebox";

export type Role = "customer" | "admin";

/**
 * Who may call an action.
 * - `public`: anybody, a token is not looked at;
 * - `optional`: anybody, a token is verified when there is one;
 * - `customer`: any signed-in user; `admin`: the admin role;
 * - `internal`: other services only; such an action can have no route.
 */
export type Auth = "public" | "optional" | Role | "internal";

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RestBinding {
  readonly method: HttpMethod;
  /** Below /api/v1, with `:name` for path parameters, which are parameters of the action too. */
  readonly path: string;
  /** Status of a success; 200 when absent. 204 answers without a body. */
  readonly status?: number;
  readonly summary: string;
  /** What the summary has no room for, for the API document. */
  readonly description?: string;
  readonly tag: string;
  /** Answers with Server-Sent Events, whose data is the action's result, instead of one document. */
  readonly isStream?: boolean;
  /** Takes a URL-encoded form too, handed on as raw bytes: some providers' webhooks are forms. */
  readonly acceptsForm?: boolean;
}

export interface ActionContract<P extends TObject = TObject, R extends TSchema = TSchema> {
  readonly params: P;
  readonly result: R;
  readonly auth: Auth;
  readonly rest?: RestBinding;
  /** May be called twice with the same parameters without a second effect. Only such an action is
   * retried, once, and only on a connection error. */
  readonly idempotent: boolean;
  /**
   * Whether the route takes an Idempotency-Key: `required` refuses a request without one,
   * `accepted` takes one. The gateway passes it as the parameter `idempotency` (see Idempotency).
   */
  readonly idempotencyKey?: "required" | "accepted";
  /** Upper bound of the handler's time in milliseconds; the broker's default when absent. */
  readonly timeoutMs?: number;
}

export type ServiceContract = Readonly<Record<string, ActionContract>>;

/** Identity function that checks a service's contract and keeps its literal types. */
export function defineContract<const C extends ServiceContract>(contract: C): C {
  return contract;
}

export type ParamsOf<A extends ActionContract> = Static<A["params"]>;
export type ResultOf<A extends ActionContract> = Static<A["result"]>;
