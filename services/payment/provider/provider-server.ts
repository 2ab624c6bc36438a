// The mock provider's HTTP interface. Lets in only who holds the shared key; on the loopback address
// alone. Another process may hold the port: then this one waits to take it over.
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TSchema } from "@sinclair/typebox";
import { Type } from "@sinclair/typebox";
import { type CommitQueue, createCommitQueue } from "../../../mixins/database/commit-queue.ts";
import type { Database } from "../../../mixins/database/database.ts";
import type { Log } from "../../../mixins/log.ts";
import { faultsOf } from "../../../mixins/validation/ajv.ts";
import { SECOND_MS } from "../../kernel/clock.ts";
import { Strict } from "../../kernel/schema.ts";
import {
  ChargesRequest,
  LIST_PAGE_MAX,
  PROVIDER_PATHS,
  RefundRequest,
  RegisterRequest,
  SimulateRequest,
} from "./provider-api.ts";
import {
  addRefund,
  capturedOn,
  closeCharges,
  queryCharges,
  registerCharges,
  simulateAll,
} from "./provider.repository.ts";

const HOST = "127.0.0.1";
const BODY_BYTES_MAX = 256 * 1024;
const REQUEST_TIMEOUT_MS = 10 * SECOND_MS;
const KEEP_ALIVE_MS = 60 * SECOND_MS;
const LISTEN_RETRY_MS = SECOND_MS;
const SIMULATIONS_PER_COMMIT_MAX = 128;
const SIMULATIONS_WAITING_MAX = 2_048;

const CapturedRequest = Strict({
  day: Type.String({ format: "date" }),
  after: Type.String({ pattern: "^(0|[1-9][0-9]{0,18})$" }),
  limit: Type.Integer({ minimum: 1, maximum: LIST_PAGE_MAX }),
});

/** What an operation answers: a status without a body, or 200 with one. */
type Answer = 204 | 409 | { readonly charges: readonly object[] };

interface Operation {
  readonly schema: TSchema;
  readonly run: (body: never) => Promise<Answer>;
}

export interface ProviderServerDeps {
  readonly database: Database;
  readonly apiKey: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  /** Callbacks wait to be sent. */
  readonly onDelivery: () => void;
}

export interface ProviderServer {
  /** Begins to listen; resolves with the port, or undefined while another process holds it. */
  start(): Promise<number | undefined>;
  stop(): Promise<void>;
}

export function createProviderServer(deps: ProviderServerDeps): ProviderServer {
  const operations = operationsOf(deps);
  const key = Buffer.from(`Bearer ${deps.apiKey}`);
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    answer(operations, key, request)
      .then((result) => send(response, result))
      .catch((error: unknown) => {
        deps.log.warn({ err: error }, "the mock provider could not answer");
        send(response, 503);
      });
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  let retry: NodeJS.Timeout | undefined;

  const start = async (): Promise<number | undefined> => {
    const port = await listen(server, deps.port);
    if (port !== undefined) return port;
    deps.log.warn({ port: deps.port }, "the mock provider's port is taken; it is tried again");
    retry = setTimeout(() => void start(), LISTEN_RETRY_MS);
    retry.unref();
    return undefined;
  };
  return {
    start,
    async stop() {
      clearTimeout(retry);
      if (!server.listening) return;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    };
    server.once("error", fail);
    server.listen(port, HOST, () => {
      server.removeListener("error", fail);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function operationsOf({
  database,
  onDelivery,
}: ProviderServerDeps): ReadonlyMap<string, Operation> {
  const simulations = simulationQueue(database);
  return new Map<string, Operation>([
    [
      PROVIDER_PATHS.register,
      {
        schema: RegisterRequest,
        run: async ({ charges }: RegisterRequest) => {
          await registerCharges(database, charges);
          return 204;
        },
      },
    ],
    [
      PROVIDER_PATHS.close,
      {
        schema: ChargesRequest,
        run: async (body: ChargesRequest) => ({
          charges: await closeCharges(database, body.payment_ids),
        }),
      },
    ],
    [
      PROVIDER_PATHS.query,
      {
        schema: ChargesRequest,
        run: async (body: ChargesRequest) => ({
          charges: await queryCharges(database, body.payment_ids),
        }),
      },
    ],
    [
      PROVIDER_PATHS.captured,
      {
        schema: CapturedRequest,
        run: async (page: { day: string; after: string; limit: number }) => ({
          charges: await capturedOn(database, page),
        }),
      },
    ],
    [
      PROVIDER_PATHS.simulate,
      {
        schema: SimulateRequest,
        run: async (body: SimulateRequest) => {
          const isDone = await simulations.submit(body);
          onDelivery();
          return isDone ? 204 : 409;
        },
      },
    ],
    [
      PROVIDER_PATHS.refund,
      {
        schema: RefundRequest,
        run: async (body: RefundRequest) => {
          await addRefund(database, body);
          return 204;
        },
      },
    ],
  ]);
}

function simulationQueue(database: Database): CommitQueue<SimulateRequest, boolean> {
  return createCommitQueue({
    name: "provider.simulate",
    batchSizeMax: SIMULATIONS_PER_COMMIT_MAX,
    queueLengthMax: SIMULATIONS_WAITING_MAX,
    commit: (requests) => simulateAll(database, requests),
  });
}

async function answer(
  operations: ReadonlyMap<string, Operation>,
  key: Buffer,
  request: IncomingMessage,
): Promise<Answer | 400 | 401 | 404 | 413> {
  const given = Buffer.from(request.headers.authorization ?? "");
  if (given.length !== key.length || !timingSafeEqual(given, key)) return 401;
  const operation = operations.get(request.url ?? "");
  if (operation === undefined || request.method !== "POST") return 404;
  const text = await readBody(request);
  if (text === undefined) return 413;
  const body = parseJson(text);
  if (faultsOf(operation.schema, body).length > 0) return 400;
  return await operation.run(body as never);
}

/** Undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, result: number | object): void {
  if (typeof result === "number") {
    response.writeHead(result, { "content-length": 0 }).end();
    return;
  }
  const body = JSON.stringify(result);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  };
  response.writeHead(200, headers).end(body);
}
