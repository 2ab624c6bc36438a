// A plot of the report as SVG text: bars that are stacked by process, and lines of percentiles. Pure;
// nothing is escaped but what is handed in as text.

export interface StackedBar {
  readonly name: string;
  readonly parts: readonly { readonly name: string; readonly value: number }[];
}

export interface Line {
  readonly name: string;
  /** From left to right; y is drawn on a logarithmic axis and must be above 0. */
  readonly points: readonly { readonly x: string; readonly y: number }[];
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
}

const WIDTH = 860;
const PANEL_HEIGHT = 300;
const LEFT = 150;
const RIGHT = 190;
const TOP = 44;
const BOTTOM = 40;
const BAR_SHARE = 0.6;
const TICKS = 5;
const COLOURS = [
  ...[
    "#2563eb",
    "#0891b2",
    "#16a34a",
    "#ca8a04",
    "#dc2626",
    "#9333ea",
    "#64748b",
    "#db2777",
    "#84cc16",
  ],
];
const FONT = 'font-family="system-ui, sans-serif" font-size="12" fill="#1f2937"';

/** Panels under each other in one picture. */
export function picture(panels: readonly string[]): string {
  const height = panels.length * PANEL_HEIGHT;
  const moved = panels.map(
    (panel, index) => `<g transform="translate(0 ${index * PANEL_HEIGHT})">${panel}</g>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...moved,
    "</svg>",
    "",
  ].join("\n");
}

/** Horizontal bars, one a row, with a legend of their parts. */
export function stackedBars({ title, unit }: Panel, bars: readonly StackedBar[]): string {
  const names = [...new Set(bars.flatMap(({ parts }) => parts.map(({ name }) => name)))];
  const totals = bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0));
  const top = niceCeiling(Math.max(...totals, Number.MIN_VALUE));
  const scale = (WIDTH - LEFT - RIGHT) / top;
  const rowHeight = (PANEL_HEIGHT - TOP - BOTTOM) / Math.max(1, bars.length);
  const rows = bars.flatMap(({ name, parts }, row) => {
    const y = TOP + row * rowHeight + (rowHeight * (1 - BAR_SHARE)) / 2;
    const height = rowHeight * BAR_SHARE;
    let x = LEFT;
    const rects = parts.map((part) => {
      const width = part.value * scale;
      const colour = colourOf(names.indexOf(part.name));
      const rect = `<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${at(height)}" fill="${colour}"/>`;
      x += width;
      return rect;
    });
    const middle = y + height / 2 + 4;
    const total = text(x + 6, middle, figure(totals[row] ?? 0));
    return [...rects, text(LEFT - 8, middle, name, "end"), total];
  });
  const ticks = Array.from({ length: TICKS + 1 }, (_, tick) => {
    const value = (top * tick) / TICKS;
    return text(LEFT + value * scale, PANEL_HEIGHT - BOTTOM + 16, figure(value), "middle");
  });
  return [heading(title, unit), ...rows, ...ticks, legend(names)].join("\n");
}

/** Lines over the same places on the x axis; a logarithmic y axis. */
export function logLines({ title, unit }: Panel, lines: readonly Line[]): string {
  const values = lines.flatMap(({ points }) => points.map(({ y }) => y)).filter((y) => y > 0);
  const low = Math.floor(Math.log10(Math.min(...values, 1)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values, 1))));
  const places = lines[0]?.points.map(({ x }) => x) ?? [];
  const height = PANEL_HEIGHT - TOP - BOTTOM;
  const xOf = (index: number): number =>
    LEFT + ((WIDTH - LEFT - RIGHT) * (index + 0.5)) / Math.max(1, places.length);
  const yOf = (value: number): number =>
    TOP + height * (1 - (Math.log10(value) - low) / (high - low));
  const grid = Array.from({ length: high - low + 1 }, (_, step) => {
    const value = 10 ** (low + step);
    const y = yOf(value);
    const rule = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y)}" y2="${at(y)}" stroke="#e5e7eb"/>`;
    return rule + text(LEFT - 8, y + 4, figure(value), "end");
  });
  const curves = lines.map(({ points }, index) => {
    const path = points
      .map(({ y }, place) => (y > 0 ? `${at(xOf(place))},${at(yOf(y))}` : ""))
      .filter((point) => point !== "")
      .join(" ");
    return `<polyline points="${path}" fill="none" stroke="${colourOf(index)}" stroke-width="2"/>`;
  });
  const labels = places.map((place, index) =>
    text(xOf(index), PANEL_HEIGHT - BOTTOM + 16, place, "middle"),
  );
  const names = lines.map(({ name }) => name);
  return [heading(title, unit), ...grid, ...curves, ...labels, legend(names)].join("\n");
}

function heading(title: string, unit: string): string {
  const bold = `<text x="${LEFT}" y="24" ${FONT} font-weight="600">${escaped(title)}</text>`;
  return bold + text(WIDTH - RIGHT, 24, unit, "end");
}

function legend(names: readonly string[]): string {
  return names
    .map((name, index) => {
      const y = TOP + index * 20;
      const x = WIDTH - RIGHT + 20;
      const box = `<rect x="${x}" y="${y}" width="12" height="12" fill="${colourOf(index)}"/>`;
      return box + text(x + 18, y + 10, name);
    })
    .join("\n");
}

function text(x: number, y: number, content: string, anchor = "start"): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" ${FONT}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#000000";
}

function at(value: number): string {
  return value.toFixed(1);
}

function figure(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** The next 1, 2 or 5 times a power of ten. */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((one) => one * power >= value) ?? 10;
  return step * power;
}
