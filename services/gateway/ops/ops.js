// The operations page: asks for each part at its own pace and shows what it gets. A part that cannot be had
// says so, and the others are shown all the same.
import { ask, isSignedIn, Refused, signIn, signOut } from "./ops-client.js";
import { sumCalls, totalsOf } from "./ops-figures.js";
import * as panels from "./ops-panels.js";
import { troublesOf } from "./ops-troubles.js";

const NODES_INTERVAL_MS = 3_000;
const BACKLOGS_INTERVAL_MS = 5_000;
const LETTERS_INTERVAL_MS = 10_000;
/** The checks read whole tables: they rest this many times as long as they took, and at least this long. */
const INVARIANTS_INTERVAL_MIN_MS = 15_000;
const INVARIANTS_REST_FACTOR = 20;
const CURVE_POINTS_MAX = 200;
const CURVE_POINTS_MIN = 20;
const SWITCHES_INTERVAL_MS = 5_000;
const LETTERS_SHOWN = 20;
const SALES_SHOWN = 10;

const at = (id) => document.getElementById(id);
const state = { nodes: [], backlogs: undefined, invariants: undefined, switches: undefined };
const samples = [];
const loops = new Map();

function showSummary() {
  const totals = totalsOf(sumCalls(state.nodes, "routes"));
  panels.showNow({ ...state, totals });
  panels.showTroubles(troublesOf({ ...state, totals }));
  at("updated").textContent = new Date().toLocaleTimeString();
}

async function readNodes() {
  state.nodes = (await ask("GET", "/admin/nodes")).items;
  const routes = sumCalls(state.nodes, "routes");
  samples.push(totalsOf(routes));
  if (samples.length > CURVE_POINTS_MAX) samples.shift();
  panels.showNodes(state.nodes, Date.now());
  panels.showCalls("routes", routes, "anything");
  panels.showCalls("actions", sumCalls(state.nodes, "actions"), "an action");
  panels.showPools(state.nodes);
  panels.showCurve(samples, CURVE_POINTS_MIN);
}

async function readBacklogs() {
  state.backlogs = await ask("GET", "/admin/backlogs");
  panels.showBacklogs(state.backlogs);
}

async function readSales() {
  const path = `/seckill/sales?page_size=${SALES_SHOWN}`;
  const pause = (target) => turnSwitch({ name: "pause_sale", target, is_on: false });
  panels.showSales(await ask("GET", path), state.switches && pause);
}

async function readSwitches() {
  state.switches = await ask("GET", "/admin/switches");
  panels.showSwitches(state.switches, turnSwitch);
}

async function turnSwitch({ name, target, is_on: isOn }) {
  const reason = prompt(`Why turn ${name.replaceAll("_", " ")} ${isOn ? "off" : "on"}?`)?.trim();
  if (!reason) return;
  const body = { is_on: !isOn, reason, ...(target === null ? {} : { target }) };
  try {
    await ask("PUT", `/admin/switches/${name}`, body);
  } catch (error) {
    alert(error.message);
  }
  restart("switches");
}

async function readLetters() {
  const path = `/admin/dead-letters?status=open&page_size=${LETTERS_SHOWN}`;
  panels.showDeadLetters(await ask("GET", path), settleLetter);
}

async function settleLetter({ id, event_name: name }, how, button) {
  if (how === "discard" && !confirm(`Discard this ${name} for good?`)) return;
  button.disabled = true;
  try {
    if (how === "replay") await ask("POST", `/admin/dead-letters/${id}/replay`);
    else await ask("DELETE", `/admin/dead-letters/${id}`);
  } catch (error) {
    alert(error.message);
  }
  restart("dead-letters");
  restart("backlogs");
}

async function readInvariants() {
  const startedMs = performance.now();
  at("check-invariants").disabled = true;
  try {
    state.invariants = await ask("GET", "/admin/invariants");
    panels.showInvariants(state.invariants, Date.now());
  } finally {
    at("check-invariants").disabled = false;
  }
  const tookMs = performance.now() - startedMs;
  return Math.max(INVARIANTS_INTERVAL_MIN_MS, tookMs * INVARIANTS_REST_FACTOR);
}

/** What each panel shows, and how long it rests when its reading does not say. */
const READINGS = {
  nodes: { read: readNodes, restMs: NODES_INTERVAL_MS },
  sales: { read: readSales, restMs: BACKLOGS_INTERVAL_MS },
  backlogs: { read: readBacklogs, restMs: BACKLOGS_INTERVAL_MS },
  "dead-letters": { read: readLetters, restMs: LETTERS_INTERVAL_MS },
  switches: { read: readSwitches, restMs: SWITCHES_INTERVAL_MS },
  invariants: { read: readInvariants, restMs: INVARIANTS_INTERVAL_MIN_MS },
};

/** Reads again and again while somebody is signed in and looks. */
function restart(id) {
  clearTimeout(loops.get(id)?.timer);
  const loop = { timer: undefined };
  loops.set(id, loop);
  const turn = async () => {
    let restMs = READINGS[id].restMs;
    if (!document.hidden) {
      try {
        restMs = (await READINGS[id].read()) ?? restMs;
      } catch (error) {
        if (!isSignedIn()) return leave("Sign in again, please.");
        const isForNobody = error instanceof Refused && error.status === 404;
        if (!isForNobody) panels.showFault(id, error);
      }
      if (isSignedIn()) showSummary();
    }
    // A restart in the meantime has a loop of its own.
    if (loops.get(id) === loop) loop.timer = setTimeout(turn, restMs);
  };
  void turn();
}

function enter() {
  at("signed-out").hidden = true;
  at("signed-in").hidden = false;
  at("sign-out").hidden = false;
  for (const id of Object.keys(READINGS)) restart(id);
}

function leave(reason) {
  for (const { timer } of loops.values()) clearTimeout(timer);
  loops.clear();
  at("signed-in").hidden = true;
  at("sign-out").hidden = true;
  at("signed-out").hidden = false;
  at("sign-in-fault").textContent = reason;
  at("health").dataset.state = "quiet";
  at("health").textContent = "signed out";
  at("updated").textContent = "";
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const { email, password } = Object.fromEntries(new FormData(form));
  at("sign-in-fault").textContent = "";
  signIn(email, password).then(
    () => {
      form.reset();
      enter();
    },
    (error) => {
      at("sign-in-fault").textContent = error.message;
    },
  );
});
at("sign-out").addEventListener("click", () => {
  void signOut();
  leave("");
});
at("check-invariants").addEventListener("click", () => restart("invariants"));
