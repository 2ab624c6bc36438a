// Authorisation on the node that does the work. ctx.meta is written by whoever calls, so it only
// carries the token; the principal comes from verifying it here, and lives in ctx.locals.
import type { ActionHandler, ActionSchema, Context, Middleware } from "moleculer";
import type { Auth } from "../../services/contracts/contract.ts";
import { type ErrorSlug, PlatformError } from "../../services/contracts/errors.ts";
import type { CallLocals, CallMeta } from "../service.ts";
import type { AccessTokens, Principal } from "./tokens.ts";

export function authMiddleware(tokens: AccessTokens): Middleware {
  return {
    name: "Authorisation",
    localAction(handler: ActionHandler, action: ActionSchema): ActionHandler {
      const auth = (action as { auth?: Auth }).auth;
      if (auth === undefined || auth === "internal" || auth === "public") return handler;
      return function authorise(ctx: Context) {
        const { token } = ctx.meta as CallMeta;
        const principal = token === undefined ? undefined : tokens.verify(token);
        const refusal = refusalOf(auth, token, principal);
        if (refusal !== undefined) return Promise.reject(new PlatformError(refusal));
        const locals: CallLocals = principal === undefined ? {} : { principal };
        ctx.locals = Object.assign(ctx.locals as object, locals);
        return handler.call(this, ctx) as unknown;
      };
    },
  };
}

/** Why a caller may not go on; undefined when he may. */
export function refusalOf(
  auth: Auth,
  token: string | undefined,
  principal: Principal | undefined,
): ErrorSlug | undefined {
  if (auth === "public" || auth === "internal") return undefined;
  if (token === undefined) return auth === "optional" ? undefined : "AUTH_REQUIRED";
  if (principal === undefined) return "AUTH_TOKEN_INVALID";
  return auth === "admin" && principal.role !== "admin" ? "FORBIDDEN" : undefined;
}
