// Three cells of the fault matrix on one platform, so that every change meets them: Redis comes back empty, the
// database is killed during commits, a node is killed. All of the cells: `npm run chaos`.
import assert from "node:assert/strict";
import { runCell } from "./cell.ts";
import { CELLS } from "./matrix.ts";
import { Rig } from "./rig.ts";

const SMOKE = ["R1", "D1", "S5b"];
const SEED = 42;

describe("the platform under steady load", function () {
  this.timeout(300_000);
  let rig: Rig | undefined;

  before(async () => {
    rig = await Rig.start();
  });
  after(() => rig?.stop());

  for (const cell of CELLS.filter(({ id }) => SMOKE.includes(id))) {
    it(`loses, oversells and keeps back nothing (${cell.id}: ${cell.title})`, async () => {
      assert.ok(rig !== undefined);
      const result = await runCell(cell, rig, SEED);
      assert.deepEqual(result.faults, []);
      assert.ok(result.acknowledged > 0, "nobody bought anything");
    });
  }
});
