// Moleculer's circuit breaker, for calls of other nodes alone, and closed by whatever a node answers.
//
// A node is never dead to itself: a breaker around its own actions would refuse what comes from others as
// well ("not available locally") because its database was slow. And a refusal is an answer: Moleculer's
// closes only on a success, so that a node whose first answer after a trial was "sold out" or "come back
// later" stayed cut off for another halfOpenTime, again and again.
import * as moleculer from "moleculer";
import type { Context, Middleware, ServiceBroker } from "moleculer";
import { isNodeFailure } from "./middlewares.ts";

type Handler = (this: unknown, ctx: Context) => Promise<unknown>;
type Wrap = (this: unknown, handler: Handler, action: object) => Handler;

interface Breaker {
  readonly created: (broker: ServiceBroker) => void;
  readonly remoteAction: Wrap;
  readonly stopped: () => void;
}

/** Moleculer's types do not know what its package exports. */
const { Middlewares } = moleculer as unknown as {
  Middlewares: { readonly CircuitBreaker: (broker: ServiceBroker) => Breaker };
};

/** A refusal on its way through the breaker, which is to see an answer. */
class Refusal {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Stands where Moleculer's own would; made by the broker, as those are. */
export function remoteBreakerMiddleware(): Middleware {
  const make = (broker: ServiceBroker): object => {
    const { created, remoteAction, stopped } = Middlewares.CircuitBreaker(broker);
    return { name: "RemoteBreaker", created, stopped, remoteAction: countAnswers(remoteAction) };
  };
  return make as unknown as Middleware;
}

function countAnswers(wrap: Wrap): Wrap {
  return function breakRemote(handler, action) {
    const guarded = wrap.call(
      this,
      (ctx) =>
        handler(ctx).catch((error: unknown) => {
          if (isNodeFailure(error as Error)) throw error;
          return new Refusal(error);
        }),
      action,
    );
    return async (ctx) => {
      const answer = await guarded(ctx);
      if (answer instanceof Refusal) throw answer.error;
      return answer;
    };
  };
}
