// One sale of very many units, sold to buyers nobody has seen: does a purchase cost more when half a
// million others have bought? Measured slice by slice.
import { loadavg } from "node:os";
import type { Sizes } from "./options.ts";
import { buyPath } from "./sales.ts";
import type { BigSlice } from "./sample.ts";
import type { Stage } from "./stage.ts";

const SOCKETS = 512;
const MS_PER_S = 1_000;

/** Errors: an Error when the sale has not sold exactly its units. */
export async function sellBigSale(
  stage: Stage,
  { bigUnits, sliceUnits }: Sizes,
  onSlice: (slice: BigSlice) => void,
): Promise<readonly BigSlice[]> {
  if (bigUnits === 0) return [];
  const ids = await stage.sales.open({ count: 1, units: bigUnits });
  const slices: BigSlice[] = [];
  for (let soldBefore = 0; soldBefore < bigUnits; soldBefore += sliceUnits) {
    const slice = await sellSlice(stage, ids, { soldBefore, units: sliceUnits });
    onSlice(slice);
    slices.push(slice);
  }
  const { order } = stage.schemas.product;
  await stage.sales.untilOrdered(order, ids, bigUnits);
  const orders = await stage.sales.ordersOf(order, ids);
  if (orders !== bigUnits) throw new Error(`${bigUnits} units became ${orders} orders`);
  return slices;
}

async function sellSlice(
  stage: Stage,
  ids: readonly string[],
  { soldBefore, units }: { readonly soldBefore: number; readonly units: number },
): Promise<BigSlice> {
  const load1 = loadavg()[0] ?? 0;
  await stage.gather(units);
  const { value, spent } = await stage.watch(stage.productPids, async () => {
    const heard = await stage.visit({
      ...{ url: stage.urls.shop, paths: ids.map(buyPath), sockets: SOCKETS, route: "spread" },
      ...{ visits: units, isPatient: true },
    });
    await stage.sales.untilPublished(Object.values<string>({ ...stage.schemas.product }));
    return heard;
  });
  const cpuUs = Object.entries(spent.cpuUs).map(([name, us]) => [name, us / units] as const);
  return {
    ...{ soldBefore, units, perSecond: (units * MS_PER_S) / spent.elapsedMs, load1 },
    cpuUs: Object.fromEntries(cpuUs),
    window: { fromUs: spent.fromUs, untilUs: spent.untilUs },
    ...{ winners: value.winners, answers: value.answers },
  };
}
