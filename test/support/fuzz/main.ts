// `npm run fuzz -- --requests 50000 --seed 7`: a long campaign, in a shop of its own. It prints the
// seed first, so that a run that ends in whatever way can be repeated.
import { parseArgs } from "node:util";
import { Campaign } from "./campaign.ts";

const REQUESTS_DEFAULT = "50000";
const SEED_MAX = 2 ** 31;

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: REQUESTS_DEFAULT },
    seed: { type: "string", default: String(Date.now() % SEED_MAX) },
  },
});
const count = Number(values.requests);
const seed = Number(values.seed);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error("--requests and --seed are whole numbers");
  process.exit(2);
}
console.log(`${String(count)} requests, seed ${String(seed)}`);
try {
  const campaign = await Campaign.open();
  console.log(JSON.stringify(await campaign.run({ count, seed }), null, 2));
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
