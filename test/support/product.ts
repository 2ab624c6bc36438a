// The product service and its worker on a node of their own, over real MySQL, Redis and NATS.
// Several of them on one TestDatabase are several nodes of one platform.
import { randomBytes } from "node:crypto";
import type { ServiceBroker } from "moleculer";
import { loadSettings } from "../../config/load.ts";
import type { CallHeaders, CallMeta } from "../../mixins/service.ts";
import {
  type ActionName,
  type ActionParams,
  type ActionResult,
  call,
} from "../../services/contracts/actions.ts";
import type { Product } from "../../services/contracts/product.ts";
import { createSnowflakeCounter } from "../../services/kernel/snowflake.ts";
import { createNode, type PlatformNode } from "../../services/node.ts";
import { wire as wireService } from "../../services/product/product.service.ts";
import { wire as wireWorker } from "../../services/product/product.worker.ts";
import type { TestDatabase } from "./database.ts";
import { testServers } from "./servers.ts";

const SECRET = randomBytes(32).toString("hex");
const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const USER_ID = "42";
const IDS_AHEAD_MS = 3_600_000;

export type Caller = "public" | "customer" | "admin";

export interface ProductNode {
  readonly node: PlatformNode;
  readonly broker: ServiceBroker;
  /** Names of the statements run on the product schema by this node. */
  readonly statements: string[];
  as<Name extends ActionName>(
    caller: Caller,
    name: Name,
    params: ActionParams<Name>,
    headers?: CallHeaders,
  ): Promise<ActionResult<Name>>;
  create(input: Partial<ActionParams<"product.create">>): Promise<Product>;
  stop(): Promise<void>;
}

let workerId = 0;

export async function productNode(
  schemas: TestDatabase,
  options: {
    readonly services?: readonly ("product" | "product-worker")[];
    readonly redisUrl?: string;
    /** Port of a link to the database server on this machine. */
    readonly mysqlPort?: number;
  } = {},
): Promise<ProductNode> {
  const { services = ["product", "product-worker"] } = options;
  const servers = await testServers();
  const settings = loadSettings(
    {},
    {
      NAMESPACE: schemas.settings.NAMESPACE,
      MYSQL_URL: withPort(schemas.settings.MYSQL_URL, options.mysqlPort),
      DATABASE_SECRET: schemas.settings.DATABASE_SECRET,
      REDIS_URL: options.redisUrl ?? servers.redisUrl,
      NATS_URL: servers.natsUrl,
      JWT_SECRET: SECRET,
      PAYMENT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ADMIN_PASSWORD: SECRET,
      LOG_LEVEL: process.env["TEST_LOG_LEVEL"] ?? "fatal",
    },
  );
  const statements: string[] = [];
  const database = schemas.database("product", {
    onStatement: ({ name }) => void statements.push(name),
    ...(options.mysqlPort === undefined ? {} : { host: "127.0.0.1", port: options.mysqlPort }),
  });
  const node: PlatformNode = {
    ...createNode({ settings }),
    ids: testIds(),
    database: () => database,
  };
  for (const service of services) {
    node.broker.createService(service === "product" ? wireService(node) : wireWorker(node));
  }
  await node.broker.start();

  async function as<Name extends ActionName>(
    caller: Caller,
    name: Name,
    params: ActionParams<Name>,
    headers: CallHeaders = {},
  ): Promise<ActionResult<Name>> {
    const meta: CallMeta = {};
    if (caller !== "public") {
      meta.token = node.tokens.sign({ userId: USER_ID, role: caller, familyId: "1" });
    }
    return await call(node.broker, name, params, { meta, headers });
  }

  return {
    node,
    broker: node.broker,
    statements,
    as,
    async create(input) {
      const params = { name: "Shirt", price: 500, ...input };
      return (await as("admin", "product.create", params)).product;
    },
    async stop() {
      await node.broker.stop();
      await node.close();
    },
  };
}

function withPort(url: string, port: number | undefined): string {
  if (port === undefined) return url;
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

/** Snowflakes without a lease: each node of this process has its own worker id. */
function testIds(): PlatformNode["ids"] {
  workerId += 1;
  const nowMs = Date.now();
  const counter = createSnowflakeCounter({
    workerId,
    floorMs: nowMs - 1,
    highWaterMs: nowMs + IDS_AHEAD_MS,
  });
  return {
    next: () => counter.next(Date.now()) ?? "",
    start: () => Promise.resolve(),
    stop: () => undefined,
    probe: () => Promise.resolve(),
  };
}
