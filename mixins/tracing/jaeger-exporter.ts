// Moleculer's Jaeger exporter with what it lacks: a span may follow from spans of other traces, as
// the one of a batch of events does, and a consumer's span says that it is one.
import { createRequire } from "node:module";
import { TracerExporters } from "moleculer";
import type { TraceParent } from "./traceparent.ts";

/** The client is a heavy library that only a traced platform needs: loaded with the first exporter. */
interface JaegerClient {
  readonly SpanContext: new (
    traceId: Buffer,
    spanId: Buffer,
    parentId: null,
    traceIdText: undefined,
    spanIdText: undefined,
    parentIdText: undefined,
    flags: number,
  ) => object;
  readonly opentracing: {
    readonly Reference: new (type: string, context: object) => object;
    readonly REFERENCE_FOLLOWS_FROM: string;
  };
}

/** What the exporter looks at of a finished span. */
export interface FinishedSpan {
  readonly type: string;
  readonly opts: { readonly follows?: readonly TraceParent[] };
}

interface JaegerTracer {
  startSpan(name: string, options: object): unknown;
}

/** The methods of Moleculer's exporter that are built upon; its types know the constructor only. */
interface ExporterBase {
  init(tracer: unknown): void;
  getTracer(serviceName: string): JaegerTracer;
  generateJaegerSpan(span: FinishedSpan): unknown;
  addTags(span: unknown, key: string, value: unknown, prefix?: string): void;
}

const Base = TracerExporters.Jaeger as unknown as new (options: object) => ExporterBase;

const KIND_TAG = "span.kind";
const SAMPLED_FLAG = 1;

class LinkingJaegerExporter extends Base {
  #client: JaegerClient | undefined;
  /** The span being exported; exporting is synchronous. */
  #current: FinishedSpan | undefined;

  override init(tracer: unknown): void {
    super.init(tracer);
    this.#client = createRequire(import.meta.url)("jaeger-client") as JaegerClient;
  }

  override generateJaegerSpan(span: FinishedSpan): unknown {
    this.#current = span;
    try {
      return super.generateJaegerSpan(span);
    } finally {
      this.#current = undefined;
    }
  }

  override getTracer(serviceName: string): JaegerTracer {
    const tracer = super.getTracer(serviceName);
    const references = this.#references(this.#current?.opts.follows ?? []);
    if (references.length === 0) return tracer;
    return {
      startSpan: (name, options) => tracer.startSpan(name, { ...options, references }),
    };
  }

  override addTags(span: unknown, key: string, value: unknown, prefix?: string): void {
    const isConsumer = key === KIND_TAG && this.#current?.type === "consumer";
    super.addTags(span, key, isConsumer ? "consumer" : value, prefix);
  }

  #references(follows: readonly TraceParent[]): readonly object[] {
    const client = this.#client;
    if (client === undefined) return [];
    return follows.map(({ traceId, parentId }) => {
      const context = new client.SpanContext(
        Buffer.from(traceId, "hex"),
        Buffer.from(parentId, "hex"),
        null,
        undefined,
        undefined,
        undefined,
        SAMPLED_FLAG,
      );
      return new client.opentracing.Reference(client.opentracing.REFERENCE_FOLLOWS_FROM, context);
    });
  }
}

/** @param endpoint the collector's address for Thrift over HTTP, such as http://host:14268/api/traces */
export function createJaegerExporter(endpoint: string): object {
  // legacyMode would cut W3C trace ids to 64 bits.
  return new LinkingJaegerExporter({ endpoint, legacyMode: false });
}
