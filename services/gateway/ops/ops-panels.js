// The panels of the page: each draws what it is given, anew. Text is only ever set as text.

const count = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const SECOND_MS = 1_000;
const MIB = 1_048_576;

/** An element; children are elements or texts, attributes that are false or undefined are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (name === "value") element.value = value;
    else if (value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

const at = (id) => document.getElementById(id);
/** Rates below one keep two digits, or a quiet shop would look like a dead one. */
const number = (value) => (Math.abs(value) < 1 ? fine : count).format(value);
const ms = (value) => (value === null ? "–" : `${number(value)} ms`);
const quiet = (text) => h("p", { class: "quiet" }, text);
/** A number that stands out when it is above what is well. */
const watched = (value, max, text = number(value)) =>
  h("span", { class: value > max ? "bad" : undefined }, text);

const opened = new Set();

/** Something to unfold, which stays unfolded when its panel is drawn anew. */
function kept(key, summary, ...children) {
  const element = h("details", { open: opened.has(key) }, h("summary", {}, summary), ...children);
  element.addEventListener("toggle", () => {
    if (element.open) opened.add(key);
    else opened.delete(key);
  });
  return element;
}

export function duration(millis) {
  const seconds = Math.max(0, Math.round(millis / SECOND_MS));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function showFault(id, error) {
  at(id).replaceChildren(h("p", { class: "bad" }, error.message));
}

/** @param heads names of the columns; those in `extra` are left out on a phone. */
function table(heads, rows, extra = []) {
  const cls = (index) => (extra.includes(index) ? "extra" : undefined);
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h("tr", {}, ...heads.map((text, i) => h("th", { scope: "col", class: cls(i) }, text))),
    ),
    h(
      "tbody",
      {},
      ...rows.map((row) => h("tr", {}, ...row.map((cell, i) => h("td", { class: cls(i) }, cell)))),
    ),
  );
}

export function showTroubles(troubles) {
  at("troubles").replaceChildren(
    ...troubles.map(({ what, runbook }) =>
      h("div", { class: "trouble" }, h("b", {}, what), `Runbook: ${runbook}`),
    ),
  );
  const health = at("health");
  health.dataset.state = troubles.length === 0 ? "good" : "bad";
  health.textContent = troubles.length === 0 ? "all is well" : `${troubles.length} to look at`;
}

export function showNow({ totals, nodes, backlogs, invariants }) {
  const waiting = backlogs?.outboxes.reduce((sum, one) => sum + one.waiting, 0);
  const letters = backlogs?.dead_letters.reduce((sum, one) => sum + one.open, 0);
  const sagas = backlogs?.sagas.reduce((sum, one) => sum + one.open, 0);
  const live = nodes.filter((node) => node.is_available).length;
  const figures = [
    ["answers / s", number(totals.perS)],
    ["failed / s", watched(totals.failuresPerS, 0)],
    ["slowest p99", ms(totals.p99Ms)],
    ["nodes", number(live)],
    ["events waiting", waiting === undefined ? "–" : watched(waiting, 1_000)],
    ["sagas open", sagas === undefined ? "–" : number(sagas)],
    ["dead letters", letters === undefined ? "–" : watched(letters, 0)],
    ["invariants", invariants === undefined ? "–" : invariants.holds ? "hold" : "broken"],
  ];
  at("now").replaceChildren(
    ...figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** Drawn over the whole width from the first minute on. */
export function showCurve(samples, pointsMin) {
  const top = Math.max(1, ...samples.map(({ perS }) => perS));
  const points = Math.max(pointsMin, samples.length);
  const line = (field) =>
    samples
      .map((sample, index) => {
        const x = ((points - samples.length + index) / (points - 1)) * 600;
        return `${x.toFixed(1)},${(58 - (sample[field] / top) * 56).toFixed(1)}`;
      })
      .join(" ");
  at("curve-answers").setAttribute("points", line("perS"));
  at("curve-failures").setAttribute("points", line("failuresPerS"));
}

export function showNodes(nodes, nowMs) {
  at("nodes").replaceChildren(...nodes.map((node) => tileOf(node, nowMs)));
}

function tileOf({ id, is_available: isAvailable, version, services, report }, nowMs) {
  const state = !isAvailable ? "quiet" : report === null ? "bad" : "good";
  const word = !isAvailable ? "gone" : report === null ? "silent" : "up";
  const pill = h("span", { class: "pill", "data-state": state }, word);
  const rows =
    report === null
      ? []
      : [
          ["up for", duration(nowMs - Date.parse(report.started_at))],
          ["CPU cores", number(report.cpu_cores)],
          ["memory", `${number(Math.round(report.memory_bytes / MIB))} MiB`],
          [
            "event loop delay",
            watched(report.event_loop_delay_ms, 200, ms(Math.round(report.event_loop_delay_ms))),
          ],
          ["open circuits", watched(report.open_circuits.length, 0)],
        ];
  return h(
    "article",
    { class: isAvailable ? "tile" : "tile away", "data-node": id },
    h("header", {}, h("b", {}, id), pill),
    h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("p", { class: "quiet" }, services.join(" ") + (version === null ? "" : ` · ${version}`)),
    ...(report?.open_circuits ?? []).map((circuit) =>
      h("p", { class: "bad" }, `not called: ${circuit}`),
    ),
  );
}

export function showCalls(id, calls, noun) {
  const rows = calls.map((call) => [
    call.name,
    number(call.perS),
    watched(call.failuresPerS, 0),
    ms(call.p50Ms),
    ms(call.p99Ms),
  ]);
  at(id).replaceChildren(
    rows.length === 0
      ? quiet(`Nobody asked for ${noun}.`)
      : table(["name", "/ s", "failed / s", "p50 ≤", "p99 ≤"], rows, [3]),
  );
}

export function showBacklogs({ outboxes, sagas }) {
  const behind = outboxes.filter(({ waiting }) => waiting > 0);
  at("backlogs").replaceChildren(
    h("h3", {}, "Events to be published"),
    behind.length === 0
      ? quiet("None waits.")
      : table(
          ["of", "waiting", "oldest"],
          behind.map(({ owner, waiting, oldest_age_ms: ageMs }) => [
            owner,
            watched(waiting, 1_000),
            watched(ageMs, 30_000, duration(ageMs)),
          ]),
        ),
    h("h3", {}, "Sagas"),
    table(
      ["type", "open", "overdue"],
      sagas.map(({ type, open, overdue }) => [type, number(open), watched(overdue, 0)]),
    ),
  );
}

/** Pools node by node, those with most waiting first; the quiet ones on request. */
export function showPools(nodes) {
  const pools = nodes
    .flatMap(({ id, report }) => (report?.pools ?? []).map((pool) => ({ id, ...pool })))
    .sort((left, right) => right.waiting - left.waiting || right.busy - left.busy);
  const rows = pools.map(({ id, schema, busy, max, waiting }) => [
    `${schema} on ${id}`,
    `${busy} of ${max}`,
    watched(waiting, 0),
  ]);
  const heads = ["pool", "busy", "waiting"];
  const used = pools.filter(({ busy, waiting }) => busy + waiting > 0).length;
  const queues = sumQueues(nodes);
  at("pools").replaceChildren(
    used === 0 ? quiet("No connection is in use right now.") : table(heads, rows.slice(0, used)),
    kept("all-pools", "every pool", table(heads, rows)),
    h("h3", {}, "Group commits"),
    table(
      ["queue", "commits", "waiting"],
      queues.map(([name, { flushed, waiting }]) => [name, number(flushed), number(waiting)]),
    ),
  );
}

/** Queues of all nodes that have committed anything, by name. */
function sumQueues(nodes) {
  const byName = new Map();
  for (const { report } of nodes) {
    for (const { name, flushed, waiting } of report?.queues ?? []) {
      const known = byName.get(name) ?? { flushed: 0, waiting: 0 };
      byName.set(name, { flushed: known.flushed + flushed, waiting: known.waiting + waiting });
    }
  }
  return [...byName].filter(([, { flushed, waiting }]) => flushed + waiting > 0);
}

export function showInvariants({ items }, nowMs) {
  const broken = items.filter(({ violations }) => violations > 0);
  const newest = Math.max(...items.map(({ ran_at: ranAt }) => Date.parse(ranAt)));
  const summary =
    broken.length === 0
      ? h("p", { class: "good" }, `All ${items.length} hold.`)
      : h("p", { class: "bad" }, `${broken.length} of ${items.length} are broken.`);
  at("invariants").replaceChildren(
    summary,
    quiet(`Checked ${duration(nowMs - newest)} ago.`),
    ...broken.map(({ name, checks, violations, offending }) =>
      h(
        "div",
        { class: "entry" },
        h(
          "div",
          { class: "row" },
          h("b", {}, name),
          h("span", { class: "bad" }, `${violations} rows`),
        ),
        quiet(checks),
        kept(`rows of ${name}`, "rows", h("pre", {}, offending.join("\n"))),
      ),
    ),
    kept(
      "invariants",
      "what is checked",
      ...items.map(({ name, checks }) =>
        h("div", { class: "entry" }, h("b", {}, name), quiet(checks)),
      ),
    ),
  );
}

const SALE_STATES = { open: "good", published: "good", sold_out: "bad" };

/** @param pause called with the sale; without it there is nothing to pause with */
export function showSales({ items }, pause) {
  const shown = items.map(({ id, title, status, quantity, remaining, end_at: endAt }) =>
    h(
      "div",
      { class: "entry", "data-sale": id },
      h(
        "div",
        { class: "row" },
        h("a", { href: `/live/${id}` }, title),
        h(
          "span",
          { class: "pill", "data-state": SALE_STATES[status] ?? "quiet" },
          status.replace("_", " "),
        ),
      ),
      h("progress", {
        max: Math.max(1, quantity),
        value: quantity - remaining,
        "aria-label": "sold",
      }),
      h(
        "div",
        { class: "row quiet" },
        h("span", {}, `${number(quantity - remaining)} of ${number(quantity)} sold`),
        h("span", {}, `until ${new Date(endAt).toLocaleString()}`),
      ),
      pause === undefined || status !== "open"
        ? undefined
        : h(
            "div",
            { class: "buttons" },
            h("button", { class: "plain danger", onclick: () => pause(id) }, "Pause"),
          ),
    ),
  );
  at("sales").replaceChildren(...(shown.length === 0 ? [quiet("There is no flash sale.")] : shown));
}

/** @param settle called with the letter and what to do with it */
export function showDeadLetters({ items, total }, settle) {
  const shown = items.map((letter) => {
    const button = (text, how, attributes) =>
      h("button", { ...attributes, onclick: ({ target }) => settle(letter, how, target) }, text);
    return h(
      "div",
      { class: "entry", "data-letter": letter.id },
      h(
        "div",
        { class: "row" },
        h("b", {}, letter.event_name),
        h("span", {}, `for ${letter.consumer}`),
      ),
      h("p", { class: "bad" }, letter.error),
      quiet(`${letter.tries} tries, ${new Date(letter.created_at).toLocaleString()}`),
      kept(letter.id, "the event", h("pre", {}, JSON.stringify(letter.payload, null, 1))),
      h(
        "div",
        { class: "buttons" },
        button("Replay", "replay", { class: "plain" }),
        button("Discard", "discard", { class: "plain danger" }),
      ),
    );
  });
  const more = total > items.length ? [quiet(`${total - items.length} more`)] : [];
  at("dead-letters").replaceChildren(...(total === 0 ? [quiet("There is none.")] : shown), ...more);
}

/** @param turn called with the switch that is to be the other way */
export function showSwitches({ items }, turn) {
  at("switches-card").hidden = false;
  at("switches").replaceChildren(
    ...items.map((one) => {
      const { name, target, is_on: isOn, reason, source, changed_at: changedAt } = one;
      const words = name.replaceAll("_", " ") + (target === null ? "" : ` ${target}`);
      const when = changedAt === null ? "never used" : new Date(changedAt).toLocaleString();
      const why = reason === null ? when : `${when}, by ${source}: ${reason}`;
      return h(
        "div",
        { class: "entry", "data-switch": target === null ? name : `${name} ${target}` },
        h(
          "div",
          { class: "row" },
          h("b", {}, words),
          h("span", { class: "pill", "data-state": isOn ? "bad" : "quiet" }, isOn ? "on" : "off"),
        ),
        quiet(why),
        h(
          "div",
          { class: "buttons" },
          h(
            "button",
            { class: isOn ? "plain" : "plain danger", onclick: () => turn(one) },
            isOn ? "Turn off" : "Turn on",
          ),
        ),
      );
    }),
  );
}
