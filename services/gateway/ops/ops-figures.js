// What the page works out of the figures that the nodes report.

/** Asked by load balancers, also of a node that says it is not ready: no answers to customers. */
const PROBES = new Set(["GET /healthz", "GET /livez", "GET /readyz"]);

/**
 * Answers of all nodes in the last minute, by name; the worst time stands for all.
 * @param {"routes" | "actions"} field
 */
export function sumCalls(nodes, field) {
  const byName = new Map();
  for (const { report } of nodes) {
    for (const { name, per_s, failures_per_s, p50_ms, p99_ms } of report?.[field] ?? []) {
      const known = byName.get(name) ?? {
        name,
        perS: 0,
        failuresPerS: 0,
        p50Ms: null,
        p99Ms: null,
      };
      known.perS += per_s;
      known.failuresPerS += failures_per_s;
      known.p50Ms = later(known.p50Ms, p50_ms);
      known.p99Ms = later(known.p99Ms, p99_ms);
      byName.set(name, known);
    }
  }
  return [...byName.values()].sort((left, right) => right.perS - left.perS);
}

/** All answers but those to probes. */
export function totalsOf(routes) {
  const asked = routes.filter(({ name }) => !PROBES.has(name));
  return asked.reduce(
    (sum, { perS, failuresPerS, p99Ms }) => ({
      perS: sum.perS + perS,
      failuresPerS: sum.failuresPerS + failuresPerS,
      p99Ms: later(sum.p99Ms, p99Ms),
    }),
    { perS: 0, failuresPerS: 0, p99Ms: null },
  );
}

const later = (left, right) =>
  left === null ? right : right === null ? left : Math.max(left, right);
