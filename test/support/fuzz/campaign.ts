// A campaign of made-up requests against a running shop. Whatever comes, every answer is one that the
// document tells of, comes in time, is no fault of ours and tells nothing of what is inside. The same
// seed makes the same requests.
import assert from "node:assert/strict";
import fc from "fast-check";
import { createAccessTokens } from "../../../mixins/auth/tokens.ts";
import { systemClock } from "../../../services/kernel/clock.ts";
import { assembleCast } from "../attack/actors.ts";
import { setScene, type Scene } from "../attack/operations.ts";
import { ContractCheck } from "../contract-check.ts";
import { eventually } from "../eventually.ts";
import type { Answer } from "../http-client.ts";
import { type Shop, startShop, TOKEN_KEY } from "../shop.ts";
import { read } from "../tokens.ts";
import { operationsOf } from "./operations.ts";
import { type FuzzRequest, requests, type Sender } from "./requests.ts";
import { CANARY } from "./values.ts";

const AT_ONCE = 20;

/** A machine that is out of breath answers 503; a request that always gets it is a finding. */
const RETRY_TIMEOUT_MS = 20_000;
const SHORTEST_SECRET = 12;
const IDS_KEPT = 8;

/** Limits are other tests' business, and so is a machine too slow for three seconds. */
const ENVIRONMENT = {
  RATE_LIMIT_PER_USER_RPS: "0",
  RATE_LIMIT_PER_IP_RPS: "0",
  REQUEST_TIMEOUT_MS: "15000",
  TRACE_RATIO: "0",
};

/** What never stands in an answer: stacks, SQL, drivers' words, places in the source, URLs of servers. */
const LEAKS =
  /\bat \S+ \(|\.ts:\d+|node_modules|\bSELECT\b.+\bFROM\b|\bINSERT INTO\b|\bER_[A-Z_]{3,}|ECONN[A-Z]+|\b(mysql|redis|nats):\/\/|sequelize|moleculer|ioredis|ReplyError|TypeError|SyntaxError|Duplicate entry/i;

export interface CampaignOptions {
  readonly count: number;
  readonly seed: number;
}

export interface CampaignReport extends CampaignOptions {
  readonly operations: number;
  /** Operations that answered some request with a success. */
  readonly succeeded: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Requests that had to be repeated because of a 503. */
  readonly repeated: number;
  readonly slowestMs: number;
}

export class Campaign {
  readonly #shop: Shop;
  readonly #scene: Scene;
  readonly #check: ContractCheck;
  readonly #tokens: Readonly<Record<Sender, () => string | undefined>>;
  readonly #ids = new Map<string, string[]>();
  readonly #secrets: readonly string[];
  readonly #statuses = new Map<number, number>();
  readonly #succeeded = new Set<string>();
  #sent = 0;
  #repeated = 0;
  #slowestMs = 0;

  private constructor(shop: Shop, scene: Scene, check: ContractCheck, tokens: readonly string[]) {
    this.#shop = shop;
    this.#scene = scene;
    this.#check = check;
    const [owner = "", other = "", admin = ""] = tokens;
    this.#tokens = {
      owner: () => renewed(owner),
      other: () => renewed(other),
      admin: () => renewed(admin),
      nobody: () => undefined,
      forger: () => `${owner.slice(0, -4)}AAAA`,
    };
    for (const [kind, id] of Object.entries({
      sku: scene.product.skuId,
      product: scene.product.product.id,
      order: scene.orderId,
      payment: scene.paymentId,
      address: scene.addressId,
      category: scene.categoryId,
      sale: scene.saleId,
      user: scene.ownerId,
    })) {
      this.#ids.set(kind, [id]);
    }
    this.#secrets = secretsOf(shop.environment);
  }

  /** In a shop of its own, which ends with the process. */
  static async open(): Promise<Campaign> {
    const shop = await startShop({ environment: ENVIRONMENT });
    const cast = await assembleCast(shop);
    const scene = await setScene(shop, cast.owner);
    const { owner, other, admin } = cast.tokens;
    const check = await ContractCheck.of(shop.url);
    return new Campaign(shop, scene, check, [owner ?? "", other ?? "", admin ?? ""]);
  }

  /** Rejects with the smallest failing batch that was found, and the seed that leads to it. */
  async run({ count, seed }: CampaignOptions): Promise<CampaignReport> {
    const operations = await operationsOf(this.#shop.url);
    const pids = this.#nodePids();
    const batch = fc.array(requests(operations), { minLength: AT_ONCE, maxLength: AT_ONCE });
    const property = fc.asyncProperty(batch, async (several) => {
      await Promise.all(several.map((one) => this.#send(one)));
    });
    await fc.assert(property, {
      numRuns: Math.ceil(count / AT_ONCE),
      seed,
    });
    assert.deepEqual(this.#nodePids(), pids, "a process of the platform was restarted");
    await this.#shop.expectInvariants();
    return {
      count: this.#sent,
      seed,
      operations: operations.length,
      succeeded: this.#succeeded.size,
      statuses: Object.fromEntries([...this.#statuses].sort(([a], [b]) => a - b)),
      repeated: this.#repeated,
      slowestMs: Math.round(this.#slowestMs),
    };
  }

  #nodePids(): readonly number[] {
    return this.#shop.platform.pids;
  }

  async #send(request: FuzzRequest): Promise<void> {
    const { operation, sender, headers } = request;
    const path = this.#filled(pathOf(request));
    const options = {
      rawBody: this.#filled(request.body),
      headers: { ...headers },
      token: this.#tokenOf(request, sender),
    };
    const what = `${operation.method} ${path} by ${sender}`;
    const answer = await eventually(
      async () => {
        const startedMs = performance.now();
        const one = await this.#shop.visitor().send(operation.method, path, options);
        this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs);
        this.#sent += 1;
        if (one.status !== 503) return one;
        this.#repeated += 1;
        return undefined;
      },
      { timeoutMs: RETRY_TIMEOUT_MS, intervalMs: 500, what: `${what} is answered but by 503` },
    );
    this.#judge(what, request, answer);
  }

  /** Those who would end a session come with one that nobody else needs. */
  #tokenOf({ operation }: FuzzRequest, sender: Sender): string | undefined {
    const endsSessions = /\/auth\/logout$|\/users\/me\/password$/.test(operation.path);
    if (!endsSessions || sender === "nobody" || sender === "forger") return this.#tokens[sender]();
    const { claims } = read(this.#tokens[sender]() ?? "");
    const { sub, role } = claims as { sub: string; role: "customer" | "admin" };
    return keyring.sign({ userId: sub, role, familyId: String(Date.now()) });
  }

  #judge(what: string, request: FuzzRequest, answer: Answer): void {
    const { operation } = request;
    const { status, headers, body } = answer;
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    const text = JSON.stringify({ headers, body });
    assert.ok(status < 500, `${what}: ${String(status)} ${text}`);
    this.#check.check({ method: operation.method, path: plainPathOf(request), answer });
    if (status < 300) {
      this.#succeeded.add(`${operation.method} ${operation.path}`);
      this.#remember(operation.path, answer);
    } else {
      assert.doesNotMatch(text, LEAKS, what);
      assert.ok(!text.includes(CANARY), `${what} quotes what it refused: ${text}`);
    }
    for (const secret of this.#secrets) assert.ok(!text.includes(secret), `${what} tells a secret`);
  }

  /** Later requests find what earlier ones have made. */
  #remember(path: string, { status, data }: Answer): void {
    const kind = CREATED_BY[path];
    const { id } = (data ?? {}) as { id?: string };
    if (status !== 201 || kind === undefined || id === undefined) return;
    const ids = this.#ids.get(kind) ?? [];
    this.#ids.set(kind, [id, ...ids].slice(0, IDS_KEPT));
  }

  #filled(text: string): string {
    return text.replaceAll(/@@([a-z]+):(\d+)@@/g, (_all, kind: string, index: string) => {
      const ids = this.#ids.get(kind) ?? [];
      return ids[Number(index) % ids.length] ?? this.#scene.orderId;
    });
  }
}

const CREATED_BY: Readonly<Record<string, string>> = {
  "/api/v1/orders": "order",
  "/api/v1/payments": "payment",
  "/api/v1/orders/{id}/pay": "payment",
  "/api/v1/products": "product",
  "/api/v1/categories": "category",
  "/api/v1/seckill/sales": "sale",
  "/api/v1/users/me/addresses": "address",
};

const keyring = createAccessTokens({ current: TOKEN_KEY }, systemClock);

/** The same session's token with a new life: a long campaign outlives the first one. */
function renewed(token: string): string {
  const { sub, role, fam } = read(token).claims as {
    sub: string;
    role: "customer" | "admin";
    fam: string;
  };
  return keyring.sign({ userId: sub, role, familyId: fam });
}

function pathOf({ operation, path, query }: FuzzRequest): string {
  const filled = filledPath(operation.path, (name) => encoded(path[name] ?? ""));
  if (query.length === 0) return filled;
  const pairs = query.map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
  return `${filled}?${pairs.join("&")}`;
}

/** With a plain id for whatever was made up; who names none asks for the list. */
function plainPathOf({ operation, path }: FuzzRequest): string {
  return filledPath(operation.path, (name) => (path[name] === "" ? "" : "0")).replace(/\/$/, "");
}

function filledPath(path: string, valueOf: (parameter: string) => string): string {
  return path.replaceAll(/\{([a-z_]+)\}/g, (_all, name: string) => valueOf(name));
}

/** As it stands in a URL; marks of ids stay as they are. */
function encoded(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replaceAll("%40%40", "@@").replaceAll("%3A", ":");
}

function secretsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(environment)
    .filter(([name, value]) => isSecretName(name) && value.length >= SHORTEST_SECRET)
    .map(([, value]) => value);
}

function isSecretName(name: string): boolean {
  return /SECRET|PASSWORD|_URL$|KEY/.test(name) && name !== "PUBLIC_URL";
}
