// Shows a flash sale as its event stream tells it. Everything on the page comes from the stream; text is
// only ever set as text.

const LOG_LINES_MAX = 200;
const CURVE_POINTS_MAX = 240;
const CURVE_INTERVAL_MS = 500;
const CURVE_WIDTH = 600;
const CURVE_HEIGHT = 80;
const RATE_WINDOW_MS = 3_000;

const saleId = location.pathname.split("/").at(-1) ?? "";
const at = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en");

const state = { sale: undefined, figures: undefined, orders: {} };
const samples = [];
const curve = [];

function setText(id, text) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
}

function note(text) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  line.append(time, text);
  const log = at("log");
  log.prepend(line);
  while (log.children.length > LOG_LINES_MAX) log.lastChild.remove();
}

/** Rows of name, bar and number; the bars are shares of `whole`. */
function showBars(id, rows, whole) {
  const list = at(id);
  for (const [name, value] of rows) {
    let row = list.querySelector(`[data-name="${CSS.escape(name)}"]`);
    if (row === null) {
      row = document.createElement("div");
      row.dataset.name = name;
      const [term, bar, number] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
      term.textContent = name;
      const progress = document.createElement("progress");
      progress.setAttribute("aria-label", name);
      bar.append(progress);
      row.append(term, bar, number);
      list.append(row);
    }
    const progress = row.querySelector("progress");
    progress.max = Math.max(1, whole);
    progress.value = value;
    row.lastChild.textContent = count.format(value);
  }
}

function showSale(sale) {
  const before = state.sale;
  state.sale = sale;
  setText("title", sale.title);
  document.title = `${sale.title}, live`;
  setText("remaining", count.format(sale.remaining));
  setText("quantity", count.format(sale.quantity));
  at("sold-bar").value = sale.quantity === 0 ? 0 : sale.sold / sale.quantity;
  showStatus(sale.status);
  if (before === undefined) note(`${sale.status.replace("_", " ")}, ${sale.remaining} units left`);
  else if (before.status !== sale.status) note(`now ${sale.status.replace("_", " ")}`);
  else if (sale.remaining > before.remaining) {
    note(`${sale.remaining - before.remaining} units came back`);
  }
}

function showStatus(status) {
  const pill = at("status");
  pill.dataset.status = status;
  pill.textContent = status.replace("_", " ");
}

function showFigures(figures) {
  state.figures = figures;
  const refused = Object.entries(figures.answers)
    .filter(([outcome]) => outcome !== "queued" && outcome !== "waiting")
    .map(([slug, value]) => [
      slug.replace("SECKILL_", "").replaceAll("_", " ").toLowerCase(),
      value,
    ])
    .sort(([, left], [, right]) => right - left);
  showBars("refusals", refused, figures.arrived);
  for (const group of ["winners", "others"]) {
    for (const share of ["p50", "p99"]) {
      const ms = figures[`${group}_ms`][share];
      setText(`${group}-${share}`, ms === null ? "–" : `${count.format(ms)} ms`);
    }
  }
}

function showFunnel() {
  const { figures, orders } = state;
  if (figures === undefined) return;
  const made = Object.values(orders).reduce((sum, value) => sum + value, 0);
  const paid = ["paid", "shipped", "completed", "refunded"].reduce(
    (sum, status) => sum + (orders[status] ?? 0),
    0,
  );
  const rows = [
    ["arrived", figures.arrived],
    ["let in", figures.answers.queued ?? 0],
    ["told to wait", figures.answers.waiting ?? 0],
    ["orders", made],
    ["paid", paid],
    ["cancelled", orders.cancelled ?? 0],
  ];
  showBars("funnel", rows, figures.arrived);
}

function showRates(nowMs) {
  const { figures, sale } = state;
  if (figures === undefined || sale === undefined) return;
  samples.push({ atMs: nowMs, arrived: figures.arrived, sold: sale.sold });
  while (samples.length > 1 && nowMs - samples[0].atMs > RATE_WINDOW_MS) samples.shift();
  const [first] = samples;
  const seconds = Math.max(1, (nowMs - first.atMs) / 1_000);
  setText("answer-rate", count.format(Math.round((figures.arrived - first.arrived) / seconds)));
  setText("sold-rate", count.format(Math.max(0, Math.round((sale.sold - first.sold) / seconds))));
}

function showCurve() {
  const { sale } = state;
  if (sale === undefined) return;
  curve.push(sale.remaining);
  if (curve.length > CURVE_POINTS_MAX) curve.shift();
  const points = curve.map((remaining, index) => {
    const x = (index / (CURVE_POINTS_MAX - 1)) * CURVE_WIDTH;
    const y = CURVE_HEIGHT - (remaining / Math.max(1, sale.quantity)) * (CURVE_HEIGHT - 4) - 2;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  at("curve-line").setAttribute("points", points.join(" "));
}

function showClock() {
  const { sale } = state;
  if (sale === undefined) return;
  const toStartMs = Date.parse(sale.start_at) - Date.now();
  const toEndMs = Date.parse(sale.end_at) - Date.now();
  if (toStartMs > 0) setText("clock", `opens in ${duration(toStartMs)}`);
  else setText("clock", toEndMs > 0 ? `ends in ${duration(toEndMs)}` : "over");
}

function duration(ms) {
  const seconds = Math.ceil(ms / 1_000);
  const parts = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

function follow() {
  const source = new EventSource(`/api/v1/seckill/sales/${saleId}/events`);
  source.addEventListener("message", ({ data }) => showSale(JSON.parse(data)));
  source.addEventListener("figures", ({ data }) => showFigures(JSON.parse(data)));
  source.addEventListener("orders", ({ data }) => {
    state.orders = JSON.parse(data);
  });
  source.addEventListener("open", () => {
    if (state.sale !== undefined) showStatus(state.sale.status);
  });
  source.addEventListener("error", () => {
    showStatus("lost");
    if (source.readyState !== EventSource.CLOSED) return;
    note("there is no such sale, or the shop is busy");
  });
}

setInterval(() => {
  showRates(performance.now());
  showFunnel();
  showCurve();
  showClock();
}, CURVE_INTERVAL_MS);
follow();
