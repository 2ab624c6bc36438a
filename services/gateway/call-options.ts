// What a request brings into the bus: its id, and the trace it belongs to. The head decides about
// sampling: a caller's decision is followed, placing an order is always traced, the rest by ratio.
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallMeta } from "../../mixins/service.ts";
import { parseTraceparent } from "../../mixins/tracing/traceparent.ts";
import type { PlatformNode } from "../node.ts";
import { saleToBuyFrom } from "./fast-lane/buy-request.ts";
import { requestIdOf } from "./http-errors.ts";
import { API_PREFIX } from "./route-table.ts";

const TRACE_ID_BYTES = 16;

export interface CallOptions {
  meta?: CallMeta;
  requestID?: string | undefined;
  parentSpan?: { traceID: string; id: string | undefined; sampled: boolean };
}

export function createCallOptions({ settings, random }: Pick<PlatformNode, "settings" | "random">) {
  const isTracing = settings.JAEGER_ENDPOINT !== "";
  return (options: CallOptions, request: IncomingMessage, response: ServerResponse): void => {
    const requestId = requestIdOf(response);
    const { traceparent } = request.headers;
    const header = typeof traceparent === "string" ? traceparent : undefined;
    const parent = parseTraceparent(header);
    options.requestID = requestId;
    options.meta = metaOf(requestId, parent === undefined ? undefined : header);
    if (!isTracing) return;
    options.parentSpan = {
      traceID: parent?.traceId ?? randomBytes(TRACE_ID_BYTES).toString("hex"),
      id: parent?.parentId,
      sampled: parent?.isSampled ?? (isPlacing(request) || random() < settings.TRACE_RATIO),
    };
  };
}

function metaOf(requestId: string | undefined, traceparent: string | undefined): CallMeta {
  return {
    ...(requestId === undefined ? {} : { requestId }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** Of the purchases in a flash sale only a share comes this way: those that are to be traced. */
function isPlacing(request: IncomingMessage): boolean {
  const { method, url } = request;
  const isOrder = method === "POST" && url === `${API_PREFIX}/orders`;
  return isOrder || saleToBuyFrom(request) !== undefined;
}
