// Moleculer's tracing without its cost where nothing is sampled: it makes a span object for every call
// and only then asks whether to send it. Here a call that is not sampled makes none. Whether a request is
// sampled is decided once, where it comes in; what belongs to no request is not traced.
//
// A call that fails for a fault of the platform gets its span afterwards all the same, in the trace its
// request would have had: errors are what traces are most wanted for.
import * as moleculer from "moleculer";
import type { Context, Middleware, ServiceBroker } from "moleculer";
import type { Clock } from "../../services/kernel/clock.ts";
import { isNodeFailure } from "../resilience/middlewares.ts";
import type { CallMeta } from "../service.ts";
import { tellPastSpan } from "./past-span.ts";

type Handler = (this: unknown, ctx: Context, ...rest: unknown[]) => Promise<unknown>;
type Wrap = (this: unknown, handler: Handler, definition: object) => Handler;

interface Tracing {
  readonly localAction: Wrap | null;
  readonly localEvent: Wrap | null;
}

/** Moleculer's types do not know what its package exports. */
const { Middlewares } = moleculer as unknown as {
  Middlewares: { readonly Tracing: (broker: ServiceBroker) => Tracing };
};

/** Stands where Moleculer's own would; made by the broker, as those are. */
export function sampledTracingMiddleware(clock: Clock): Middleware {
  const make = (broker: ServiceBroker): object => {
    const { localAction, localEvent } = Middlewares.Tracing(broker);
    return {
      name: "SampledTracing",
      localAction: localAction === null ? null : actionWrap(broker, localAction, clock),
      localEvent: localEvent === null ? null : eventWrap(broker, localEvent),
    };
  };
  return make as unknown as Middleware;
}

function actionWrap(broker: ServiceBroker, wrap: Wrap, clock: Clock): Wrap {
  return (handler, action) => {
    const traced = wrap.call(broker, handler, action);
    return function traceSampled(ctx) {
      if (ctx.tracing === true) return traced.call(this, ctx);
      const startedMs = clock.now();
      return handler.call(this, ctx).catch((error: unknown) => {
        if (isNodeFailure(error as Error)) {
          tellFailure(broker, ctx, { startedMs, endedMs: clock.now(), error });
        }
        throw error;
      });
    };
  };
}

function eventWrap(broker: ServiceBroker, wrap: Wrap): Wrap {
  return (handler, event) => {
    const traced = wrap.call(broker, handler, event);
    return function traceSampled(ctx, ...rest) {
      const chosen = ctx.tracing === true ? traced : handler;
      return chosen.call(this, ctx, ...rest);
    };
  };
}

function tellFailure(
  { tracer, nodeID }: ServiceBroker,
  ctx: Context,
  past: { readonly startedMs: number; readonly endedMs: number; readonly error: unknown },
): void {
  const action = ctx.action?.name ?? "";
  tellPastSpan(tracer, {
    ...past,
    name: `action '${action}'`,
    options: {
      id: ctx.id,
      type: "action",
      service: action.slice(0, action.lastIndexOf(".")),
      traceID: ctx.requestID,
      parentID: ctx.parentID,
      tags: { request_id: (ctx.meta as CallMeta).requestId, nodeID, is_after_the_fact: true },
    },
  });
}
