// `npm run preflight -- <sale>`: go or no go for a sale, against the platform that runs in DATA_DIR. A
// table of findings; the exit code is 0 for go, 1 for no go, 2 when it could not be asked.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { loadSettings } from "../../config/load.ts";
import { dataFolderAt } from "../launcher/data-folder.ts";
import { LauncherError } from "../launcher/launcher-error.ts";
import { readPlatformEnv, readRunState } from "../launcher/run-state.ts";
import { isGo, runChecks, tableOf } from "./check.ts";
import { serverChecks } from "./server-checks.ts";
import { shadowCheck } from "./shadow-sale.ts";
import { shopChecks } from "./shop-checks.ts";
import { openShopReader } from "./shop-reader.ts";

const EXIT_NO_GO = 1;
const EXIT_NOT_ASKED = 2;
const SALE_ID = /^[1-9][0-9]{0,18}$/;

async function main(): Promise<void> {
  const { saleId, prometheusUrl, isDry } = readArguments();
  const given = process.env["DATA_DIR"] ?? "";
  const folder = dataFolderAt(
    resolve(import.meta.dirname, "../..", given === "" ? ".data" : given),
  );
  const settings = loadSettings(readPlatformEnv(folder), { DATA_DIR: folder.root });
  const { url } = readRunState(folder);
  const shop = await openShopReader(url, settings);
  const findings = await runChecks([
    ...shopChecks({ shop, settings, saleId }),
    ...serverChecks({ settings, saleId, prometheusUrl }),
    ...(isDry ? [shadowCheck({ url, settings, shop })] : []),
  ]);
  console.log(tableOf(findings));
  console.log(isGo(findings) ? "\n  GO" : "\n  NO GO");
  process.exitCode = isGo(findings) ? 0 : EXIT_NO_GO;
}

function readArguments(): { saleId: string; prometheusUrl: string; isDry: boolean } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      prometheus: { type: "string", default: "" },
      "no-dry-run": { type: "boolean", default: false },
    },
  });
  const [saleId = ""] = positionals;
  if (!SALE_ID.test(saleId)) {
    throw new LauncherError(
      "Which sale?",
      "npm run preflight -- <sale id> [--prometheus http://host:9090] [--no-dry-run]",
    );
  }
  return { saleId, prometheusUrl: values.prometheus, isDry: !values["no-dry-run"] };
}

try {
  await main();
} catch (error) {
  process.exitCode = EXIT_NOT_ASKED;
  if (error instanceof LauncherError) console.error(`${error.message}\n  ${error.wayOut}`);
  else console.error(error instanceof Error ? error.message : String(error));
}
