// Calls that are made without a Moleculer context, as consumers and background work make them, go on
// with the request and the trace of the work they belong to.
import type { CallingOptions, Middleware } from "moleculer";
import { currentContext } from "../context.ts";
import { parseTraceparent } from "./traceparent.ts";

type Call = (name: string, params: unknown, options?: CallingOptions) => Promise<unknown>;

export function continueContextMiddleware(): Middleware {
  const middleware = {
    name: "ContinueContext",
    call(next: Call): Call {
      return (name, params, options) => {
        if (options?.parentCtx !== undefined || options?.parentSpan !== undefined) {
          return next(name, params, options);
        }
        const context = currentContext();
        if (context === undefined) return next(name, params, options);
        const { requestId, traceparent } = context;
        const parent = parseTraceparent(traceparent);
        const meta = { requestId, ...(parent === undefined ? {} : { traceparent }) };
        return next(name, params, {
          ...options,
          meta: { ...meta, ...options?.meta },
          ...(parent === undefined ? {} : { parentSpan: spanOf(parent) }),
        });
      };
    },
  };
  // Moleculer's types say that a wrapped call answers nothing.
  return middleware as unknown as Middleware;
}

function spanOf({
  traceId,
  parentId,
  isSampled,
}: NonNullable<ReturnType<typeof parseTraceparent>>) {
  return { traceID: traceId, id: parentId, sampled: isSampled };
}
