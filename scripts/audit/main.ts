// `npm run audit -- <sale>`: the equations of a sale as a table, PASS or FAIL, also as the exit code.
// `--certificate file` keeps the result signed; `--verify file` tells whether such a file is genuine.
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { loadSettings } from "../../config/load.ts";
import type { SignatureKey } from "../../mixins/signing/ed25519.ts";
import type { SaleAudit, SaleCertificate } from "../../services/contracts/sale-audit.ts";
import { createShopClient, type ShopClient } from "../demo/shop-client.ts";
import { dataFolderAt } from "../launcher/data-folder.ts";
import { LauncherError } from "../launcher/launcher-error.ts";
import { readPlatformEnv, readRunState } from "../launcher/run-state.ts";
import { describeAudit, describeVerification } from "./report.ts";
import { verifyCertificate } from "./verify-certificate.ts";

/** A sale of ten million units takes 250 calls; one that never ends is a fault. */
const CALLS_MAX = 10_000;
/** Longer than the shop takes for a piece before it gives up itself. */
const REQUEST_TIMEOUT_MS = 15_000;
const USAGE = "npm run audit -- <sale> [--full] [--certificate file] | --verify file [--key file]";

interface Shop {
  readonly client: ShopClient;
  /** Of an admin; without it the public's view is shown. */
  readonly token?: string;
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: "boolean", default: false },
      certificate: { type: "string" },
      verify: { type: "string" },
      key: { type: "string" },
      url: { type: "string" },
    },
  });
  if (values.verify !== undefined) return await verify(values.verify, values);
  const [id, ...others] = positionals;
  if (id === undefined || others.length > 0) throw new LauncherError("Which sale?", USAGE);
  const shop = await openShop(values.url);
  const audit = await auditOf(shop, id, values.full);
  console.log(describeAudit(audit));
  if (values.certificate !== undefined) await keepCertificate(shop, id, values.certificate);
  return audit.holds;
}

/** The shop at a URL as everybody sees it, else the one that runs here as its admin does. */
async function openShop(url: string | undefined): Promise<Shop> {
  if (url !== undefined) return { client: createClient(url.replace(/\/$/, ""), 0) };
  const given = process.env["DATA_DIR"] ?? "";
  const dataDir = resolve(import.meta.dirname, "..", "..", given === "" ? ".data" : given);
  const folder = dataFolderAt(dataDir);
  const settings = loadSettings(readPlatformEnv(folder));
  const client = createClient(readRunState(folder).url, settings.RATE_LIMIT_PER_USER_RPS);
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = settings;
  const { data } = await client.request<{ access_token: string } | undefined>(
    "POST",
    "/auth/login",
    { body: { email, password } },
  );
  if (data === undefined) {
    throw new LauncherError("The shop does not know its admin's password.", "Set ADMIN_PASSWORD.");
  }
  return { client, token: data.access_token };
}

function createClient(url: string, requestsPerSecond: number): ShopClient {
  return createShopClient(url, requestsPerSecond, REQUEST_TIMEOUT_MS);
}

async function ask<T>({ client, token }: Shop, path: string): Promise<T> {
  const options = token === undefined ? {} : { token };
  const { error, data } = await client.request<T>("GET", path, options);
  if (error === undefined) return data;
  throw new LauncherError(`The shop answered ${error}.`, "See docs/errors.md.");
}

/** A large sale is looked at piece by piece; what does not hold ends it. */
async function auditOf(shop: Shop, id: string, isFull: boolean): Promise<SaleAudit> {
  const path = `/seckill/sales/${encodeURIComponent(id)}/audit`;
  let audit = await ask<SaleAudit>(shop, isFull ? `${path}?full=true` : path);
  for (let calls = 1; calls < CALLS_MAX; calls += 1) {
    if (audit.complete || audit.offending.length > 0) return audit;
    process.stderr.write(`${audit.admission_log.entries} admissions checked\n`);
    audit = await ask<SaleAudit>(shop, path);
  }
  return audit;
}

async function keepCertificate(shop: Shop, id: string, file: string): Promise<void> {
  const path = `/seckill/sales/${encodeURIComponent(id)}/certificate`;
  const certificate = await ask<SaleCertificate>(shop, path);
  writeFileSync(file, `${JSON.stringify(certificate, null, 2)}\n`);
  console.log(`  Certificate in ${file}, signed with key ${certificate.signature.key_id}.\n`);
}

interface VerifyOptions {
  readonly key?: string | undefined;
  readonly url?: string | undefined;
}

async function verify(file: string, { key, url }: VerifyOptions): Promise<boolean> {
  const known = key === undefined ? await publishedKey(url) : readFileSync(key, "utf8");
  const verification = verifyCertificate(readFileSync(file, "utf8"), known);
  console.log(describeVerification(verification));
  return verification.isGenuine && verification.audit?.holds === true;
}

/** Of the shop at the URL, or of the one that runs here; undefined when there is none to ask. */
async function publishedKey(url: string | undefined): Promise<string | undefined> {
  try {
    const shop = await openShop(url);
    return (await ask<SignatureKey>(shop, "/seckill/certificate-key")).public_key;
  } catch (error) {
    if (url === undefined && error instanceof LauncherError) return undefined;
    throw error;
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  const wayOut = error instanceof LauncherError ? error.wayOut : USAGE;
  console.error(`${text} ${wayOut}`);
  process.exitCode = 2;
}
