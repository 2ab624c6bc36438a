// The platform under measurement: started as `npm start` starts it, durability and all, in a
// throw-away folder, with a catalogue and buyers of its own.
import { join, resolve } from "node:path";
import { createAccessTokens } from "../../mixins/auth/tokens.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import type { DataFolder } from "../launcher/data-folder.ts";
import { openDataFolder } from "../launcher/data-folder.ts";
import { Platform } from "../launcher/platform.ts";
import { createProgress } from "../launcher/progress.ts";
import { readPlatformEnv, readRunState } from "../launcher/run-state.ts";
import { openSecrets } from "../launcher/secrets.ts";
import { makeThrowAwayFolder, removeThrowAwayFolder } from "../launcher/throw-away-folder.ts";
import { HttpSocket, requestText } from "./http-socket.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "..", "..");
const API = "/api/v1";
/** Enough that no buyer comes near the limit of requests a user has. */
export const BUYERS = 2_000;
const PRODUCTS = 32;
const STOCK_PER_SKU = 10_000_000;
const PRICE = 1_999;
const FIRST_BUYER_ID = 9_000_000_000_000_000_000n;
const ADMINS = PRODUCTS;
/** Servers and a split of the operator's own would be measured instead of what we start. */
const UNSET = ["MYSQL_URL", "REDIS_URL", "NATS_URL", "SERVICES", "METRICS_PORT", "PROFILE"];

export interface Buyer {
  readonly token: string;
  readonly address: string;
}

export interface Catalogue {
  readonly productIds: readonly string[];
  readonly skuIds: readonly string[];
  /** The public answer for one product, for floors that send as many bytes. */
  readonly productText: string;
}

export class MeasuredShop {
  readonly url: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Process ids by role: edge, core, worker, redis, nats, mysql. */
  readonly pids: ReadonlyMap<string, number>;
  readonly buyers: readonly Buyer[];
  readonly #platform: Platform;
  readonly #folder: DataFolder;

  private constructor(platform: Platform, folder: DataFolder) {
    this.#platform = platform;
    this.#folder = folder;
    this.url = platform.url.replace("localhost", "127.0.0.1");
    this.environment = readPlatformEnv(folder);
    const { processes } = readRunState(folder);
    this.pids = new Map(processes.map(({ name, pid }) => [name, pid]));
    this.buyers = this.people("customer", BUYERS);
  }

  static async start(): Promise<MeasuredShop> {
    for (const name of UNSET) Reflect.deleteProperty(process.env, name);
    const folder = openDataFolder(makeThrowAwayFolder("flash-sale-bench-"));
    Object.assign(process.env, {
      PORT: "0",
      DATA_DIR: folder.root,
      LAUNCHER_DEMO_DATA: "0",
      // Buyers come from addresses of their own, as behind a proxy; all limits stay on.
      TRUSTED_PROXIES: "127.0.0.1",
    });
    const platform = new Platform({
      sourceDir: SOURCE_DIR,
      folder,
      secrets: openSecrets(folder),
      progress: createProgress(),
      isDev: false,
      onGiveUp: (error) => {
        console.error(`\n${error.message} ${error.wayOut}`);
        process.exit(1);
      },
    });
    try {
      await platform.start();
      return new MeasuredShop(platform, folder);
    } catch (error) {
      await platform.stop();
      throw error;
    }
  }

  /** Where nodes that end leave what they were told to write. */
  get runFolder(): string {
    return this.#folder.run;
  }

  async stop(): Promise<void> {
    await this.#platform.stop();
    removeThrowAwayFolder(this.#folder.root);
  }

  /** Products on sale, each with one SKU and plenty of stock. */
  async fillCatalogue(): Promise<Catalogue> {
    const socket = new HttpSocket(this.url);
    const productIds: string[] = [];
    const skuIds: string[] = [];
    for (const [index, admin] of this.people("admin", ADMINS).entries()) {
      const body = {
        name: `Product ${index} of the benchmark`,
        description: "A thing that many people want at the same moment. ".repeat(4),
        price: PRICE,
        stock: STOCK_PER_SKU,
      };
      const path = `${API}/products`;
      const answer = await socket.send(requestText({ method: "POST", path, ...admin, body }));
      if (answer.status !== 201) throw new Error(`no product: ${answer.status} ${answer.body}`);
      const product = (JSON.parse(answer.body) as { data: { id: string; skus: { id: string }[] } })
        .data;
      productIds.push(product.id);
      skuIds.push(...product.skus.map(({ id }) => id));
    }
    const path = `${API}/products/${productIds[0] ?? ""}`;
    const { body: productText } = await socket.send(
      requestText({ method: "GET", path, address: "10.255.0.1" }),
    );
    socket.close();
    return { productIds, skuIds, productText };
  }

  /** Made-up people with new tokens, as `npm run tokens` makes them. */
  people(role: "customer" | "admin", count: number): Buyer[] {
    const secret = this.environment["JWT_SECRET"] ?? "";
    const tokens = createAccessTokens({ current: secret }, systemClock);
    return Array.from({ length: count }, (_, index) => {
      const userId = String(FIRST_BUYER_ID + BigInt(index));
      return {
        token: tokens.sign({ userId, role, familyId: userId }),
        address: `10.${role === "admin" ? 1 : 2}.${index >> 8}.${index & 255}`,
      };
    });
  }
}

/** The folder that results are written to unless told otherwise. */
export const DOCS_DIR = join(SOURCE_DIR, "docs");
