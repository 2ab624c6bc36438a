// One cell of the fault matrix: what is done to the platform under steady load, and what must be true then.
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../scripts/demo/buyer-plan.ts";
import { openSale } from "../support/open-sale.ts";
import { signedInAdmin } from "../support/shop.ts";
import { Crowd, type Goods, type Rates } from "./crowd.ts";
import { PAYMENT_WINDOW_MS, type Rig, type RigOptions } from "./rig.ts";
import { judge, type Verdict } from "./verdict.ts";
import { type Course, type Seen, seenBy, Witness } from "./witness.ts";

const WARM_UP_MS = 2_500;
const AFTER_HEAL_MS = 3_000;
const SALE_UNITS = 150;
const SCARCE_UNITS = 20;
const PLENTY_UNITS = 100_000;
const PLENTY_SKUS = 3;
const STEADY: Rates = { orders: 5, buyers: 8, browsers: 4 };
/** No request may be left hanging longer than this, however busy the machine is. */
const WAIT_MAX_MS = 14_000;

export interface Scene {
  readonly rig: Rig;
  /** Repeats with the seed. */
  readonly random: () => number;
  readonly goods: Goods;
  readonly witness: Witness;
  /** What else was measured, for the record. */
  readonly figures: Record<string, number | string>;
  /** Lets the load go on for so many ms. */
  readonly during: (ms: number) => Promise<void>;
}

export interface Cell {
  readonly id: string;
  readonly title: string;
  /** The platform it needs; cells with the same kind share one. */
  readonly kind?: string;
  readonly rig?: RigOptions;
  readonly rates?: Partial<Rates>;
  /** Why it cannot be run here; undefined when it can. */
  readonly isImpossible?: () => string | undefined;
  /** Before the load starts. */
  readonly prepare?: (scene: Scene) => Promise<void>;
  readonly inject: (scene: Scene) => Promise<void>;
  /** Beyond what heals every platform: links, servers, nodes. */
  readonly heal?: (scene: Scene) => Promise<void>;
  /** After the platform has come to rest: what must be so besides what must always be so. */
  readonly expect?: (scene: Scene, seen: Seen) => readonly string[] | Promise<readonly string[]>;
}

export interface CellResult extends Seen, Verdict {
  readonly holds: boolean;
  readonly figures?: Readonly<Record<string, number | string>>;
}

/** @throws what the machine or the cell itself fails with; what the platform does wrong is in the result. */
export async function runCell(cell: Cell, rig: Rig, seed: number): Promise<CellResult> {
  const witness = new Witness();
  const goods = await stockUp(rig);
  const random = seededRandom(seed);
  const figures: Record<string, number | string> = {};
  const scene: Scene = { rig, random, goods, witness, figures, during: (ms) => delay(ms) };
  await cell.prepare?.(scene);
  const rates = { ...STEADY, ...cell.rates };
  const { admin } = rig.shop;
  const crowd = new Crowd({ doors: rig.doors, admin, goods, rates, seed, witness });
  const course = await take(cell, scene, crowd).catch(async (error: unknown) => {
    // What cannot be carried on must not load the platform of the next cell.
    await crowd.disperse();
    throw error;
  });
  const seen = seenBy(witness, course);
  const verdict = await judge({ rig, crowd, goods, witness });
  const faults = [...verdict.faults, ...((await cell.expect?.(scene, seen)) ?? [])];
  if (seen.longest_wait_ms > WAIT_MAX_MS) {
    faults.push(`somebody waited ${String(seen.longest_wait_ms)} ms for an answer`);
  }
  for (const what of ["acknowledged_lost", "oversold", "undersold"] as const) {
    if (verdict[what] > 0) faults.push(`${what}: ${String(verdict[what])}`);
  }
  await rig.partFromJoined();
  const measured = Object.keys(figures).length === 0 ? {} : { figures };
  return { ...seen, ...verdict, ...measured, faults, holds: faults.length === 0 };
}

/** The fault under load, and what heals it. */
async function take(cell: Cell, scene: Scene, crowd: Crowd): Promise<Course> {
  crowd.start();
  await delay(WARM_UP_MS);
  const injectedMs = performance.now();
  await cell.inject(scene);
  const healedMs = performance.now();
  await cell.heal?.(scene);
  await scene.rig.heal();
  await delay(AFTER_HEAL_MS);
  await crowd.stop();
  return { injectedMs, healedMs };
}

async function stockUp(rig: Rig): Promise<Goods> {
  const { shop } = rig;
  // A token lives shorter than a rig.
  shop.admin.signIn((await signedInAdmin(shop.url)).token ?? "");
  const plenty = await Promise.all(
    Array.from({ length: PLENTY_SKUS }, () => shop.product(PLENTY_UNITS)),
  );
  const scarce = await shop.product(SCARCE_UNITS);
  const sale = await openSale(shop, { quantity: SALE_UNITS });
  return {
    plentySkus: plenty.map(({ skuId }) => skuId),
    scarceSku: scarce.skuId,
    productIds: plenty.map(({ product }) => product.id),
    saleId: sale.id,
  };
}

/** A cell's expectation as a sentence when it is not met. */
export function unless(isMet: boolean, sentence: string): readonly string[] {
  return isMet ? [] : [sentence];
}

export { PAYMENT_WINDOW_MS };
