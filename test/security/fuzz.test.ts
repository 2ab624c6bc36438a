// A short campaign of made-up requests; `npm run fuzz` sends many more.
import assert from "node:assert/strict";
import { Campaign } from "../support/fuzz/campaign.ts";

const REQUESTS = 2_000;
const SEED = 20_261_121;

describe("made-up requests", function () {
  this.timeout(240_000);
  let campaign: Campaign;

  before(async () => {
    campaign = await Campaign.open();
  });

  it("are all answered as the document says, never by a fault, and move nothing wrongly", async () => {
    const report = await campaign.run({ count: REQUESTS, seed: SEED });
    assert.ok(report.count >= REQUESTS);
    // Were they all refused at the door, nothing behind it would have been tried.
    assert.ok(report.succeeded * 2 > report.operations, JSON.stringify(report));
  });
});
