// Secrets and addresses as canaries: given to the shop in every way that it takes them, and then
// looked for wherever somebody reads who should not see them.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createConnection } from "mysql2/promise";
import { DATABASE_SCHEMAS, schemaName } from "../../config/database.ts";
import { loadSettings } from "../../config/load.ts";
import type { TokenPair } from "../../services/contracts/user.ts";
import { ADDRESS } from "../support/address.ts";
import { eventually } from "../support/eventually.ts";
import { type Answer, HttpClient } from "../support/http-client.ts";
import { signRequest } from "../support/sign-request.ts";
import { scrape } from "../support/scrape.ts";
import { API, openShop, type Shop, WEBHOOK_SECRET } from "../support/shop.ts";

/** What a service tells others, keeps of their failures, and stores to answer again. */
const TABLES = ["outbox", "dead_letters", "sagas"] as const;

/** Requests of that life that are refused. */
const REFUSED = 8;

const word = (name: string): string => `${name}-${randomBytes(6).toString("hex")}`;

/** The answer to a request, sent again while a busy machine answers 503. */
async function served<T>(send: () => Promise<Answer<T>>): Promise<Answer<T>> {
  return await eventually(
    async () => {
      const answer = await send();
      return answer.status === 503 ? undefined : answer;
    },
    { timeoutMs: 30_000, intervalMs: 500, what: "the shop serves" },
  );
}

describe("I22 canaries", function () {
  this.timeout(180_000);
  let shop: Shop;
  const errorBodies: string[] = [];
  const canaries: Record<string, string> = {
    password: word("password"),
    wrongPassword: word("wrong"),
    newPassword: word("changed"),
    street: word("street"),
    phone: `+49${String(randomBytes(5).readUIntBE(0, 5)).padStart(13, "7")}`,
    reset: randomBytes(24).toString("base64url"),
  };

  before(async () => {
    shop = await openShop();
    await liveThrough();
  });

  /** A customer's life with all that goes wrong in it. */
  async function liveThrough(): Promise<void> {
    const { password = "", wrongPassword, newPassword, street, phone, reset } = canaries;
    const email = `${randomUUID()}@example.test`;
    const client = new HttpClient(shop.url);
    const refused = async (method: string, path: string, body: object): Promise<void> => {
      const answer = await served(() => client.send(method, API + path, { body }));
      assert.ok(answer.status >= 400, `${path} ${String(answer.status)}`);
      errorBodies.push(JSON.stringify([answer.headers, answer.body]));
    };
    await served(() => client.post(`${API}/auth/register`, { email, password }));
    await refused("POST", "/auth/register", { email, password });
    await refused("POST", "/auth/register", { email, password, [word("field")]: password });
    await refused("POST", "/auth/login", { email, password: wrongPassword });
    await refused("POST", "/auth/refresh", { refresh_token: reset });
    await refused("POST", "/auth/password-resets/confirm", { token: reset, password: newPassword });
    const login = await served(() =>
      client.post<TokenPair>(`${API}/auth/login`, { email, password }),
    );
    client.signIn(login.data.access_token);
    canaries["accessToken"] = login.data.access_token;
    canaries["refreshToken"] = login.data.refresh_token;
    const address = { ...ADDRESS, street, phone };
    const made = await served(() =>
      client.post<{ id: string }>(`${API}/users/me/addresses`, address),
    );
    assert.equal(made.status, 201, JSON.stringify(made.body));
    await refused("POST", "/users/me/addresses", { ...address, country: street });
    await refused("POST", "/users/me/password", {
      current_password: wrongPassword,
      new_password: newPassword,
    });
    const { skuId } = await shop.product(1);
    const items = [{ sku_id: skuId, quantity: 1 }];
    const body = { items, address_id: made.data.id };
    const key = randomUUID();
    const order = await served(() =>
      client.send<{ id: string }>("POST", `${API}/orders`, { body, key }),
    );
    assert.equal(order.status, 201, JSON.stringify(order.body));
    await shop.paid(client, order.data.id);
    const signature = randomBytes(32).toString("base64");
    canaries["signature"] = signature;
    await signOnce(client);
    await client.send("POST", `${API}/payments/1/callbacks`, {
      body: { status: "succeeded" },
      headers: {
        "webhook-id": "1",
        "webhook-timestamp": String(Math.floor(Date.now() / 1_000)),
        "webhook-signature": `v1,${signature}`,
      },
    });
  }

  /** A program is let in, signs a request, and signs one wrongly. */
  async function signOnce(client: HttpClient): Promise<void> {
    const keyId = word("client");
    const made = await served(() =>
      shop.admin.send<{ secret: string }>("PUT", `${API}/admin/api-clients/${keyId}`, {
        body: { is_active: true, reason: "a canary" },
      }),
    );
    const { secret } = made.data;
    canaries["apiClientSecret"] = secret;
    const url = `${API}/users/me`;
    const message = { method: "GET", url, authorization: `Bearer ${client.token ?? ""}` };
    await eventually(
      async () => {
        const headers = signRequest(message, { keyId, secret });
        canaries["requestSignature"] = headers["signature"]?.slice("shop=:".length, -1) ?? "";
        return (await client.get(url, { headers })).status === 200;
      },
      { timeoutMs: 30_000, intervalMs: 500, what: "the client is let in" },
    );
    const headers = signRequest(message, { keyId, secret: word("guess") });
    const answer = await served(() => client.get(url, { headers }));
    assert.equal(answer.status, 401);
    errorBodies.push(JSON.stringify([answer.headers, answer.body]));
  }

  /** The canaries, and what the platform keeps secret of its own. */
  function secrets(): readonly (readonly [string, string])[] {
    const { JWT_SECRET, DATABASE_SECRET, API_CLIENT_SECRET } = loadSettings({}, shop.environment);
    return Object.entries({
      ...canaries,
      JWT_SECRET,
      DATABASE_SECRET,
      API_CLIENT_SECRET,
      webhook: WEBHOOK_SECRET.slice("whsec_".length),
    });
  }

  function assertNoneIn(text: string, where: string): void {
    for (const [name, secret] of secrets()) {
      assert.ok(!text.includes(secret), `${name} stands in ${where}`);
    }
  }

  it("stand in no error's body and no header", () => {
    assert.equal(errorBodies.length, REFUSED);
    assertNoneIn(errorBodies.join("\n"), "an answer");
  });

  it("stand in no log file of nodes and servers", () => {
    for (const { log_file: file } of shop.platform.state.processes) {
      assertNoneIn(readFileSync(file, "utf8"), file);
    }
  });

  it("stand in no metric", async () => {
    const { DATA_DIR } = loadSettings({}, shop.environment);
    const samples = await scrape(DATA_DIR);
    assert.ok(samples.length > 0);
    assertNoneIn(JSON.stringify(samples), "a metric");
  });

  it("stand in no event, no dead letter and no saga", async () => {
    const settings = loadSettings({}, shop.environment);
    const connection = await createConnection(settings.MYSQL_URL);
    try {
      const rows = await eventually(
        async () => {
          const found = await readTables(connection, settings);
          return found.includes("order.paid.v1") ? found : undefined;
        },
        { timeoutMs: 20_000, intervalMs: 200, what: "the order's events are there" },
      );
      assertNoneIn(rows, "a table of messages");
    } finally {
      await connection.end();
    }
  });

  async function readTables(
    connection: Awaited<ReturnType<typeof createConnection>>,
    settings: Parameters<typeof schemaName>[0],
  ): Promise<string> {
    const [tables] = await connection.query(
      "SELECT table_schema AS s, table_name AS t FROM information_schema.tables WHERE table_name IN (?) AND table_schema IN (?)",
      [[...TABLES], DATABASE_SCHEMAS.map((schema) => schemaName(settings, schema))],
    );
    const named = tables as { s: string; t: string }[];
    assert.ok(named.length >= 12);
    const texts: string[] = [];
    for (const { s, t } of named) {
      const [rows] = await connection.query("SELECT * FROM ??.?? LIMIT 20000", [s, t]);
      texts.push(JSON.stringify(rows));
    }
    return texts.join("\n");
  }
});
