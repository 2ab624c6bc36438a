// A flash sale on the platform as `npm start` runs it, while its servers and processes are killed, paused and
// emptied under a crowd of 2,000 buyers. The buyers' own log is the witness. STORM_SEED repeats a crowd.
import assert from "node:assert/strict";
import type { Check } from "../../scripts/demo/verdict.ts";
import { startShop, type Shop } from "../support/shop.ts";
import { SaleStorm, type StormScene } from "../storm/sale-storm.ts";
import type { SaleFault } from "../storm/sale-faults.ts";
import { openStage, type Stage } from "../storm/stage.ts";

const BUYERS = 2_000;
const UNITS = 100;
/** All within a tenth of a second: every one of them has a connection of his own. */
const RATE_PER_S = 20_000;
const PAYMENT_WINDOW_MS = 6_000;
const SEED_MAX = 1_000_000;

const CELLS: readonly { readonly title: string; readonly fault: SaleFault | undefined }[] = [
  { title: "with nothing in its way", fault: undefined },
  { title: "while Redis is killed", fault: "redis-kill" },
  { title: "while Redis is emptied", fault: "redis-flush" },
  { title: "while Redis does not answer", fault: "redis-pause" },
  { title: "while MySQL is killed", fault: "mysql-kill" },
  { title: "while NATS is killed", fault: "nats-kill" },
  { title: "while the edge is killed", fault: "edge-kill" },
  { title: "while an edge dies between gate and commit", fault: "edge-dies-after-gate" },
  { title: "while an edge dies between commit and answer", fault: "edge-dies-after-commit" },
];

describe("a flash sale under kills", function () {
  this.timeout(180_000);
  const seed = Number(process.env["STORM_SEED"] ?? Math.floor(Math.random() * SEED_MAX));
  const storms = new Map<string, SaleStorm>();
  let shop: Shop;
  let stage: Stage;

  before(async () => {
    const environment = { ORDER_PAYMENT_WINDOW_MS: String(PAYMENT_WINDOW_MS) };
    shop = await startShop({ environment });
    stage = await openStage(shop.environment["DATA_DIR"] ?? "");
  });
  after(async () => {
    shop.platform.child.kill("SIGTERM");
    await shop.platform.exited;
  });

  for (const [index, { title, fault }] of CELLS.entries()) {
    it(`answers everybody ${title}`, async () => {
      const scene: StormScene = {
        buyers: BUYERS,
        units: UNITS,
        seed: seed + index,
        ratePerS: RATE_PER_S,
        fault,
      };
      console.log(`      seed ${scene.seed}`);
      const storm = new SaleStorm(stage, scene);
      storms.set(title, storm);
      await storm.rage();
    });
  }

  // Judged last, so that all of them wait for their unpaid orders together.
  for (const { title } of CELLS) {
    it(`has kept every promise and sold every unit once ${title}`, async () => {
      const checks = (await storms.get(title)?.judge()) ?? [];
      assert.ok(checks.length > 0, "it was not stormed");
      assert.deepEqual(checks.filter(isBad), []);
    });
  }

  it("leaves a shop in which every invariant holds", () => shop.expectInvariants());
});

function isBad({ isGood }: Check): boolean {
  return !isGood;
}
