// `npm run bench:sale -- --profile`: where the product's CPU time goes while it sells and refuses.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeThrowAwayFolder, removeThrowAwayFolder } from "../../launcher/throw-away-folder.ts";
import { MeasuredShop } from "../measured-shop.ts";
import { type ProfiledWork, profileHead, profileParts } from "../profile.ts";
import { Cases } from "./cases.ts";
import type { SaleBenchOptions } from "./options.ts";
import type { CaseName } from "./sample.ts";
import { Stage } from "./stage.ts";

const PROFILED: readonly CaseName[] = ["sale", "soldOut"];

export async function profileSale({ sizes, out }: SaleBenchOptions): Promise<void> {
  const folder = makeThrowAwayFolder("flash-sale-profile-");
  try {
    process.env["NODE_OPTIONS"] = `--cpu-prof --cpu-prof-dir=${folder}`;
    const shop = await MeasuredShop.start();
    const pids = new Map(shop.pids);
    const works = new Map<string, ProfiledWork>();
    try {
      const stage = await Stage.build(shop);
      const cases = await Cases.prepare(stage, sizes, {});
      for (const name of PROFILED) works.set(name, await cases.take(name));
      await stage.close();
    } finally {
      await shop.stop();
    }
    const head = profileHead("bench:sale -- --profile");
    const text = [...head, ...profileParts(folder, pids, works), ""].join("\n");
    console.log(text);
    if (out === "") return;
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, "bench-sale-profile.md"), text);
  } finally {
    removeThrowAwayFolder(folder);
  }
}
