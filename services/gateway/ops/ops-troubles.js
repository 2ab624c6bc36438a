// What an operator must act on, found in what the page knows. Each trouble names the section of the runbook
// that says what to do; the bounds are those of the alerts.

const OUTBOX_ROWS_MAX = 1_000;
const OUTBOX_AGE_MS_MAX = 30_000;
const LOOP_DELAY_MS_MAX = 200;
const FAILED_SHARE_MAX = 0.05;

/** @returns {{ what: string, runbook: string }[]} the worst first */
export function troublesOf({ nodes, backlogs, invariants, switches, totals }) {
  const live = nodes.filter((node) => node.is_available);
  return [
    ...ofInvariants(invariants),
    ...ofAnswers(totals),
    ...live.flatMap(ofNode),
    ...ofBacklogs(backlogs),
    ...ofSwitches(switches),
  ];
}

function ofSwitches(switches) {
  const on = (switches?.items ?? []).filter(({ is_on: isOn }) => isOn);
  return on.map(({ name, target, reason }) => ({
    what: `The switch ${name.replaceAll("_", " ")}${target === null ? "" : ` ${target}`} is on: ${reason}`,
    runbook: "A switch is on",
  }));
}

function ofInvariants(invariants) {
  const broken = (invariants?.items ?? []).filter(({ violations }) => violations > 0);
  return broken.map(({ name, violations }) => ({
    what: `${violations} rows break the invariant ${name}`,
    runbook: "An invariant is broken",
  }));
}

function ofAnswers(totals) {
  const isBad = totals.perS > 0 && totals.failuresPerS / totals.perS > FAILED_SHARE_MAX;
  if (!isBad) return [];
  const share = Math.round((totals.failuresPerS / totals.perS) * 100);
  return [{ what: `${share} % of all answers are server errors`, runbook: "Server errors" }];
}

function ofNode({ id, report }) {
  if (report === null) return [{ what: `${id} does not answer`, runbook: "A node is down" }];
  const found = [];
  for (const circuit of report.open_circuits) {
    found.push({ what: `${id} does not call ${circuit}`, runbook: "A circuit is open" });
  }
  if (report.event_loop_delay_ms > LOOP_DELAY_MS_MAX) {
    const what = `The event loop of ${id} is ${Math.round(report.event_loop_delay_ms)} ms late`;
    found.push({ what, runbook: "The event loop is late" });
  }
  for (const { schema, waiting } of report.pools.filter((pool) => pool.waiting > 0)) {
    const what = `${waiting} callers on ${id} wait for a connection to ${schema}`;
    found.push({ what, runbook: "A database pool is used up" });
  }
  return found;
}

function ofBacklogs(backlogs) {
  if (backlogs === undefined) return [];
  const outboxes = backlogs.outboxes.filter(
    ({ waiting, oldest_age_ms: ageMs }) => waiting > OUTBOX_ROWS_MAX || ageMs > OUTBOX_AGE_MS_MAX,
  );
  return [
    ...outboxes.map(({ owner, waiting }) => ({
      what: `${waiting} events of ${owner} wait to be published`,
      runbook: "Events are not published",
    })),
    ...backlogs.dead_letters
      .filter(({ open }) => open > 0)
      .map(({ owner, open }) => ({
        what: `${open} dead letters of ${owner} wait for somebody`,
        runbook: "Dead letters",
      })),
    ...backlogs.sagas
      .filter(({ overdue }) => overdue > 0)
      .map(({ type, overdue }) => ({
        what: `${overdue} sagas of the type ${type} are overdue`,
        runbook: "A saga is overdue",
      })),
  ];
}
