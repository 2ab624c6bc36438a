// Rate limits at a real listener: shared through Redis while it is there, held by the node itself while
// it is not, and never dodged by a header that nobody vouches for.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { loadSettings } from "../../config/load.ts";
import { type RunningNode, runNode } from "../../services/run-node.ts";
import { eventually } from "../support/eventually.ts";
import { faultyLink, type FaultyLink } from "../support/faulty-link.ts";
import { type Answer, HttpClient } from "../support/http-client.ts";
import { testServers } from "../support/servers.ts";
import { API, WEBHOOK_SECRET } from "../support/shop.ts";

const PER_SECOND = 10;
const BURST = 2 * PER_SECOND;
const FLOOD = 100;
const REDIS_TIMEOUT_MS = 10_000;

describe("rate limits at the edge", function () {
  this.timeout(60_000);
  let link: FaultyLink;
  let nodes: readonly RunningNode[] = [];
  let urls: readonly string[] = [];

  before(async () => {
    const servers = await testServers();
    link = await faultyLink(servers.redisUrl);
    const secret = () => randomBytes(32).toString("hex");
    const shared = {
      NAMESPACE: `e${randomBytes(5).toString("hex")}`,
      SERVICES: "gateway",
      MYSQL_URL: servers.mysqlUrl,
      REDIS_URL: link.url,
      NATS_URL: servers.natsUrl,
      DATABASE_SECRET: secret(),
      JWT_SECRET: secret(),
      PAYMENT_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ADMIN_PASSWORD: secret(),
      RATE_LIMIT_PER_IP_RPS: String(PER_SECOND),
      LOG_LEVEL: "fatal",
      PORT: "0",
    };
    nodes = await Promise.all(
      ["one", "two"].map((name) =>
        runNode({ settings: loadSettings({}, { ...shared, NODE_ID: name }) }),
      ),
    );
    urls = nodes.map((running) => `http://127.0.0.1:${String(portOf(running))}`);
    // Before its first connection a node limits by itself, as it does without Redis.
    await eventually(async () => (await Promise.all(urls.map(hasRedis))).every(Boolean), {
      timeoutMs: REDIS_TIMEOUT_MS,
      what: "both gateways reach Redis",
    });
  });
  after(async () => {
    await Promise.all(nodes.map((running) => running.stop()));
    link.close();
  });

  async function hasRedis(url: string): Promise<boolean> {
    const { body } = await new HttpClient(url).get("/readyz");
    return (body as unknown as { checks: Record<string, string> }).checks["redis"] === "ok";
  }

  function portOf({ node }: RunningNode): number {
    const service = node.broker.getLocalService("gateway") as unknown as {
      server: { address(): { port: number } };
    };
    return service.server.address().port;
  }

  /** Each request under another forwarded address, which no proxy of ours has written. */
  async function flood(): Promise<{ letIn: number; refused: Answer[]; tookMs: number }> {
    const startedMs = performance.now();
    const answers = await Promise.all(
      Array.from({ length: FLOOD }, (_, n) =>
        new HttpClient(urls[n % urls.length] ?? "").get(`${API}/products`),
      ),
    );
    const refused = answers.filter(({ status }) => status === 429);
    return { letIn: FLOOD - refused.length, refused, tookMs: performance.now() - startedMs };
  }

  /** What may pass in the time it took: the burst, and the rate from then on. */
  const allowedIn = (tookMs: number): number => BURST + Math.ceil((tookMs / 1_000) * PER_SECOND);

  it("count all nodes together, whatever X-Forwarded-For says", async () => {
    const { letIn, refused, tookMs } = await flood();
    assert.ok(letIn >= BURST && letIn <= allowedIn(tookMs), `${String(letIn)} were let in`);
    const [one] = refused;
    assert.equal(one?.body.error, "RATE_LIMITED");
    assert.ok(Number(one.headers["retry-after"]) >= 1);
    assert.equal(one.headers["ratelimit-limit"], String(BURST));
    assert.equal(one.headers["ratelimit-remaining"], "0");
    assert.ok(Number(one.headers["ratelimit-reset"]) >= 1);
  });

  it("hold within twice the limit on two nodes that cannot reach Redis", async () => {
    link.cut();
    const { letIn, tookMs } = await flood();
    assert.ok(letIn > 0);
    assert.ok(letIn <= nodes.length * allowedIn(tookMs), `${String(letIn)} were let in`);
  });
});
