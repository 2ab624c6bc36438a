// The figures of the operations page: what the nodes report, summed, and what of it counts as an answer.
import assert from "node:assert/strict";

interface Calls {
  readonly name: string;
  readonly perS: number;
  readonly failuresPerS: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

interface Totals {
  readonly perS: number;
  readonly failuresPerS: number;
  readonly p99Ms: number | null;
}

interface Figures {
  sumCalls(nodes: readonly unknown[], field: "routes" | "actions"): readonly Calls[];
  totalsOf(routes: readonly Calls[]): Totals;
}

interface Troubles {
  troublesOf(known: object): readonly { readonly what: string }[];
}

const FOLDER = new URL("../../services/gateway/ops/", import.meta.url);
const figures = (await import(new URL("ops-figures.js", FOLDER).href)) as Figures;
const troubles = (await import(new URL("ops-troubles.js", FOLDER).href)) as Troubles;

const route = (name: string, perS: number, failuresPerS: number, p99Ms: number | null) => ({
  name,
  per_s: perS,
  failures_per_s: failuresPerS,
  p50_ms: null,
  p99_ms: p99Ms,
});

const reporting = (...routes: readonly object[]) => ({ report: { routes, actions: [] } });

describe("figures of the operations page", () => {
  it("are summed over the nodes, the worst time for all", () => {
    const nodes = [
      reporting(route("GET /products", 3, 0, 4), route("POST /orders", 20, 1, null)),
      reporting(route("GET /products", 5, 2, 9)),
      { report: null },
    ];
    assert.deepEqual(figures.sumCalls(nodes, "routes"), [
      { name: "POST /orders", perS: 20, failuresPerS: 1, p50Ms: null, p99Ms: null },
      { name: "GET /products", perS: 8, failuresPerS: 2, p50Ms: null, p99Ms: 9 },
    ]);
    assert.deepEqual(figures.sumCalls(nodes, "actions"), []);
  });

  it("leave out probes, which hear 503 from every node that starts", () => {
    const nodes = [reporting(route("GET /readyz", 4, 4, 90), route("GET /products", 6, 0, 2))];
    const totals = figures.totalsOf(figures.sumCalls(nodes, "routes"));
    assert.deepEqual(totals, { perS: 6, failuresPerS: 0, p99Ms: 2 });
    assert.deepEqual(troubles.troublesOf({ nodes: [], totals }), []);
  });

  it("tell the share of server errors once it is too large", () => {
    const known = (failuresPerS: number) => ({ nodes: [], totals: { perS: 100, failuresPerS } });
    assert.deepEqual(troubles.troublesOf(known(5)), []);
    const told = troubles.troublesOf(known(6)).map(({ what }) => what);
    assert.deepEqual(told, ["6 % of all answers are server errors"]);
  });
});
