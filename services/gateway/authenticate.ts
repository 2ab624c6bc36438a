// Who is asking: the bearer token of a request, verified here so that a loser costs no hop. The
// service that does the work verifies it again; nothing here is an authority for it.
import type { IncomingMessage } from "node:http";
import { refusalOf } from "../../mixins/auth/auth.middleware.ts";
import type { AccessTokens, Principal } from "../../mixins/auth/tokens.ts";
import type { Auth } from "../contracts/contract.ts";
import { PlatformError } from "../contracts/errors.ts";
import type { Sessions } from "./sessions.ts";

export interface Caller {
  readonly token: string | undefined;
  readonly principal: Principal | undefined;
}

export const ANONYMOUS: Caller = { token: undefined, principal: undefined };
const BEARER = /^Bearer ([A-Za-z0-9_.-]+)$/i;

export type Authenticate = (request: IncomingMessage, auth: Auth) => Caller;

/** Throws AUTH_REQUIRED, AUTH_TOKEN_INVALID or FORBIDDEN. A public route ignores the header. */
export function createAuthenticate(tokens: AccessTokens, sessions: Sessions): Authenticate {
  function principalOf(token: string | undefined): Principal | undefined {
    const verified = token === undefined ? undefined : tokens.verify(token);
    return verified === undefined || sessions.isRevoked(verified) ? undefined : verified;
  }

  return (request, auth) => {
    if (auth === "public") return ANONYMOUS;
    const token = tokenOf(request.headers.authorization);
    const principal = principalOf(token);
    const refusal = refusalOf(auth, token, principal);
    if (refusal !== undefined) throw new PlatformError(refusal);
    return { token, principal };
  };
}

/** Undefined without a header; an empty token, which none verifies, for one of another form. */
function tokenOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : (BEARER.exec(header)?.[1] ?? "");
}
