// What is measured, by name: which loop runs, and whose CPU time counts.
import type { BenchChild } from "./child-process.ts";
import type { Subject } from "./measure.ts";

export const SHOP_CASES = ["product", "token", "orderRead", "place", "complete"] as const;
export const FLOOR_CASES = ["bare", "minimal"] as const;
export const TRADE_CASES = [
  "floorPlace",
  "floorPlaceGrouped",
  "floorComplete",
  "floorCompleteGrouped",
] as const;
export const RESERVE_CASES = ["groupedHot", "singleHot", "groupedSpread", "singleSpread"] as const;

export type CaseName =
  | (typeof SHOP_CASES)[number]
  | (typeof FLOOR_CASES)[number]
  | (typeof TRADE_CASES)[number]
  | (typeof RESERVE_CASES)[number];

export interface CaseParts {
  readonly shopPids: ReadonlyMap<string, number>;
  readonly connections: number;
  readonly load: BenchChild;
  readonly bare: BenchChild;
  readonly minimal: BenchChild;
  readonly trade: BenchChild;
  readonly reserve: BenchChild;
}

const TRADE_UNITS: Readonly<Record<(typeof TRADE_CASES)[number], string>> = {
  floorPlace: "place",
  floorPlaceGrouped: "placeGrouped",
  floorComplete: "complete",
  floorCompleteGrouped: "completeGrouped",
};

/** In the order of one round: what is compared stands beside each other. */
export function casesOf(parts: CaseParts): ReadonlyMap<CaseName, Subject> {
  const { shopPids, connections, load } = parts;
  const shop = (unit: string): Subject => ({ workload: load, unit, pids: shopPids, connections });
  const mysql = shopPids.get("mysql") ?? 0;
  const http = (unit: string, child: BenchChild): Subject => ({
    ...shop(unit),
    pids: new Map([["floor", child.pid]]),
  });
  const bareSql = (child: BenchChild, unit: string): Subject => ({
    workload: child,
    unit,
    connections,
    pids: new Map([
      ["floor", child.pid],
      ["mysql", mysql],
    ]),
  });
  const trade = (name: keyof typeof TRADE_UNITS): [CaseName, Subject] => [
    name,
    bareSql(parts.trade, TRADE_UNITS[name]),
  ];
  return new Map<CaseName, Subject>([
    ["bare", http("bare", parts.bare)],
    ["minimal", http("minimal", parts.minimal)],
    ["product", shop("product")],
    ["token", shop("token")],
    ["orderRead", shop("orderRead")],
    trade("floorPlace"),
    ["place", shop("place")],
    trade("floorPlaceGrouped"),
    trade("floorComplete"),
    ["complete", shop("complete")],
    trade("floorCompleteGrouped"),
    ...RESERVE_CASES.map((name): [CaseName, Subject] => [name, bareSql(parts.reserve, name)]),
  ]);
}
