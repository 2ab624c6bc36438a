// `npm run --silent tokens -- --count N`: access tokens of N made-up customers, one a line, signed with the key of
// the running platform. For load tests; refuses in production.
import { once } from "node:events";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { createAccessTokens } from "../mixins/auth/tokens.ts";
import { systemClock } from "../services/kernel/clock.ts";
import { dataFolderAt } from "./launcher/data-folder.ts";
import { LauncherError } from "./launcher/launcher-error.ts";
import { readPlatformEnv } from "./launcher/run-state.ts";

const COUNT_MAX = 10_000_000;
const LINES_PER_WRITE = 1_000;
/** Made-up customers count up from here: far above every id a platform has made so far, and still 63 bits. */
const FIRST_CUSTOMER_ID = 9_000_000_000_000_000_000n;

async function main(): Promise<void> {
  const count = readCount();
  const given = process.env["DATA_DIR"] ?? "";
  const dataDir = resolve(import.meta.dirname, "..", given === "" ? ".data" : given);
  const environment = readPlatformEnv(dataFolderAt(dataDir));
  if (environment["PROFILE"] === "production") {
    throw new LauncherError(
      "This platform runs with PROFILE=production.",
      "Tokens of made-up customers are for load tests elsewhere.",
    );
  }
  const tokens = createAccessTokens({ current: environment["JWT_SECRET"] ?? "" }, systemClock);
  for (let from = 0; from < count; from += LINES_PER_WRITE) {
    let lines = "";
    for (let n = from; n < Math.min(count, from + LINES_PER_WRITE); n += 1) {
      const userId = String(FIRST_CUSTOMER_ID + BigInt(n));
      lines += `${tokens.sign({ userId, role: "customer", familyId: userId })}\n`;
    }
    if (!process.stdout.write(lines)) await once(process.stdout, "drain");
  }
}

function readCount(): number {
  const { values } = parseArgs({ options: { count: { type: "string", default: "1" } } });
  const count = Number(values.count);
  if (Number.isInteger(count) && count >= 1 && count <= COUNT_MAX) return count;
  throw new LauncherError(
    `--count must be a whole number from 1 to ${COUNT_MAX}.`,
    "Example: npm run --silent tokens -- --count 1000",
  );
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader has enough (`| head`).
  process.exit(error.code === "EPIPE" ? 0 : 1);
});
try {
  await main();
} catch (error) {
  if (!(error instanceof LauncherError)) throw error;
  console.error(`${error.message} ${error.wayOut}`);
  process.exitCode = error.exitCode;
}
