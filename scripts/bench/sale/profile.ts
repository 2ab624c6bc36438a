// `npm run bench:sale -- --profile`: where the product's CPU time goes while it sells and refuses.
import { profiled, profileHead } from "../profile.ts";
import { Cases } from "./cases.ts";
import type { SaleBenchOptions } from "./options.ts";
import type { CaseName } from "./sample.ts";
import { Stage } from "./stage.ts";

const PROFILED: readonly CaseName[] = ["sale", "soldOut"];

export async function profileSale({ sizes, out }: SaleBenchOptions): Promise<void> {
  const head = profileHead("bench:sale -- --profile");
  await profiled({ head, file: "bench-sale-profile.md", out }, async (shop, works) => {
    const stage = await Stage.build(shop);
    const cases = await Cases.prepare(stage, sizes, {});
    for (const name of PROFILED) works.set(name, await cases.take(name));
    await stage.close();
  });
}
