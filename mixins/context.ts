// The request a piece of work belongs to, carried along asynchronous calls: for log lines, outbox
// rows and spans. Never an authority: who may do what is decided from the verified token alone.
import { AsyncLocalStorage } from "node:async_hooks";

export interface RequestContext {
  readonly requestId: string;
  /** W3C trace context of the current span, when the request is traced. */
  readonly traceparent?: string | undefined;
  /** Trace contexts of the other traced requests that share this work, at most TRACE_LINKS_MAX. */
  readonly links?: readonly string[] | undefined;
  readonly userId?: string | undefined;
}

const storage = new AsyncLocalStorage<RequestContext | undefined>();

export function currentContext(): RequestContext | undefined {
  return storage.getStore();
}

/** Undefined: the work belongs to no request, whoever set it off. */
export function runInContext<T>(context: RequestContext | undefined, work: () => T): T {
  return storage.run(context, work);
}
