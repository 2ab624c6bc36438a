// W3C Trace Context, version 00: reading and writing the `traceparent` header.

export interface TraceParent {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly parentId: string;
  readonly isSampled: boolean;
}

/** Traced requests of one group commit that its event names beside the one it belongs to; their
 * contexts fit the outbox's column. */
export const TRACE_LINKS_MAX = 16;

const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Undefined for anything that is not a well-formed version-00 header. */
export function parseTraceparent(header: string | undefined): TraceParent | undefined {
  const [, traceId, parentId, flags] = FORM.exec(header ?? "") ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The cheap look at a header this platform has written itself. */
export function isSampled(traceparent: string | undefined): boolean {
  return traceparent?.endsWith("-01") === true;
}

export function formatTraceparent({ traceId, parentId, isSampled }: TraceParent): string {
  return `00-${traceId}-${parentId}-${isSampled ? "01" : "00"}`;
}

const SPAN_ID_LENGTH = 16;

/** The trace context of a Moleculer span, with the id that its Jaeger exporter gives the span: the
 * first 16 hex digits of the span's UUID. */
export function traceparentOfSpan(span: {
  readonly id: string;
  readonly traceID: string;
  readonly sampled: boolean;
}): string {
  return formatTraceparent({
    traceId: span.traceID.replaceAll("-", ""),
    parentId: span.id.replaceAll("-", "").slice(0, SPAN_ID_LENGTH),
    isSampled: span.sampled,
  });
}
