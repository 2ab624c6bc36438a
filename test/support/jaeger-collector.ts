// A Jaeger collector for tests: takes spans as Thrift over HTTP, as the real one does on port 14268,
// and keeps them readable.
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";

export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** Undefined for the first span of a trace. */
  readonly parentId: string | undefined;
  readonly tags: Readonly<Record<string, unknown>>;
  /** Ids of the spans it follows from, and the traces they are in. */
  readonly follows: readonly { readonly traceId: string; readonly spanId: string }[];
}

interface ThriftTag {
  readonly key: string;
  readonly vType: "STRING" | "DOUBLE" | "BOOL" | "LONG" | "BINARY";
  readonly vStr: string | null;
  readonly vDouble: number | null;
  readonly vBool: boolean | null;
  readonly vLong: Buffer | null;
}

interface ThriftBatch {
  readonly process: { readonly serviceName: string };
  readonly spans: readonly {
    readonly operationName: string;
    readonly traceIdLow: Buffer;
    readonly traceIdHigh: Buffer;
    readonly spanId: Buffer;
    readonly parentSpanId: Buffer;
    readonly tags: readonly ThriftTag[];
    readonly references:
      | readonly {
          readonly refType: string | number;
          readonly traceIdLow: Buffer;
          readonly traceIdHigh: Buffer;
          readonly spanId: Buffer;
        }[]
      | null;
  }[];
}

interface BatchReader {
  readonly Batch: {
    readonly rw: { readFrom(buffer: Buffer, offset: number): { value: ThriftBatch } };
  };
}

const NO_PARENT = "0000000000000000";

export class JaegerCollector {
  readonly spans: CollectedSpan[] = [];
  readonly #server: Server;

  constructor() {
    const reader = batchReader();
    this.#server = createServer((request, response) => {
      void readAll(request).then((body) => {
        this.spans.push(...spansOf(reader.Batch.rw.readFrom(body, 0).value));
        response.writeHead(202).end();
      });
    });
  }

  /** Starts on a free port of the loopback; answers the address for JAEGER_ENDPOINT. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}/api/traces`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  ofTrace(traceId: string): readonly CollectedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }
}

/** The reader comes with the client the product sends with. */
function batchReader(): BatchReader {
  const client = createRequire(createRequire(import.meta.url).resolve("jaeger-client"));
  const { Thrift } = client("thriftrw") as { Thrift: new (options: object) => BatchReader };
  const root = dirname(client.resolve("jaeger-client/package.json"));
  const entryPoint = join(root, "dist/src/jaeger-idl/thrift/jaeger.thrift");
  return new Thrift({ entryPoint, allowFilesystemAccess: true });
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function spansOf({ process, spans }: ThriftBatch): CollectedSpan[] {
  return spans.map((span) => {
    const parentId = span.parentSpanId.toString("hex");
    const references = span.references ?? [];
    return {
      service: process.serviceName,
      name: span.operationName,
      traceId: traceIdOf(span),
      spanId: span.spanId.toString("hex"),
      parentId: parentId === NO_PARENT ? undefined : parentId,
      tags: Object.fromEntries(span.tags.map((tag) => [tag.key, valueOf(tag)])),
      follows: references
        .filter(({ refType }) => refType === "FOLLOWS_FROM" || refType === 1)
        .map((reference) => ({
          traceId: traceIdOf(reference),
          spanId: reference.spanId.toString("hex"),
        })),
    };
  });
}

function traceIdOf(ids: { readonly traceIdHigh: Buffer; readonly traceIdLow: Buffer }): string {
  return ids.traceIdHigh.toString("hex") + ids.traceIdLow.toString("hex");
}

function valueOf({ vType, vStr, vDouble, vBool, vLong }: ThriftTag): unknown {
  const values = { STRING: vStr, DOUBLE: vDouble, BOOL: vBool, LONG: vLong, BINARY: null };
  return values[vType];
}
