// The user service on a node of its own, over real MySQL, Redis and NATS. Several of them on one
// TestDatabase are several nodes of one platform.
import { randomBytes } from "node:crypto";
import { loadSettings } from "../../config/load.ts";
import type { CallHeaders, CallMeta } from "../../mixins/service.ts";
import {
  type ActionName,
  type ActionParams,
  type ActionResult,
  call,
} from "../../services/contracts/actions.ts";
import type { TokenPair } from "../../services/contracts/user.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import type { PlatformNode } from "../../services/node.ts";
import { runNode } from "../../services/run-node.ts";
import type { TestDatabase } from "./database.ts";
import { testServers } from "./servers.ts";

export const ADMIN = { email: "Admin@Shop.test", password: randomBytes(12).toString("hex") };
export const PASSWORD = "correct horse battery";
const SECRET = randomBytes(32).toString("hex");
const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString("base64")}`;

export interface Caller {
  readonly token?: string;
  readonly clientIp?: string;
  readonly headers?: CallHeaders;
}

export interface UserNode {
  readonly node: PlatformNode;
  readonly as: <Name extends ActionName>(
    caller: Caller,
    name: Name,
    params: ActionParams<Name>,
  ) => Promise<ActionResult<Name>>;
  /** Registers a customer nobody else has and signs in. */
  customer(): Promise<{ email: string; id: string; session: TokenPair; token: string }>;
  stop(): Promise<void>;
}

let customers = 0;

/** The settings of a node that runs the user service alone. */
export async function environmentOf(schemas: TestDatabase): Promise<Record<string, string>> {
  const servers = await testServers();
  return {
    SERVICES: "user",
    NAMESPACE: schemas.settings.NAMESPACE,
    MYSQL_URL: schemas.settings.MYSQL_URL,
    DATABASE_SECRET: schemas.settings.DATABASE_SECRET,
    REDIS_URL: servers.redisUrl,
    NATS_URL: servers.natsUrl,
    JWT_SECRET: SECRET,
    PAYMENT_WEBHOOK_SECRET: WEBHOOK_SECRET,
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    LOG_LEVEL: process.env["TEST_LOG_LEVEL"] ?? "fatal",
  };
}

export async function userNode(
  schemas: TestDatabase,
  options: {
    readonly overrides?: Readonly<Record<string, string>>;
    readonly clock?: Clock;
  } = {},
): Promise<UserNode> {
  const environment = { ...(await environmentOf(schemas)), ...options.overrides };
  const running = await runNode({
    settings: loadSettings({}, environment),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  const { node } = running;
  const as: UserNode["as"] = ({ token, clientIp, headers }, name, params) => {
    const meta: CallMeta = {
      ...(token === undefined ? {} : { token }),
      ...(clientIp === undefined ? {} : { clientIp }),
    };
    return call(node.broker, name, params, { meta, ...(headers === undefined ? {} : { headers }) });
  };
  return {
    node,
    as,
    async customer() {
      customers += 1;
      const email = `customer-${customers}@shop.test`;
      const { id } = await as({}, "user.register", { email, password: PASSWORD });
      const session = await as({}, "user.login", { email, password: PASSWORD });
      return { email, id, session, token: session.access_token };
    },
    stop: () => running.stop(),
  };
}
