// A dashboard in a few lines, and Grafana's JSON of it. The JSON under deploy/grafana is written from here by
// `npm run docs` and never by hand.

export interface Query {
  readonly expr: string;
  /** Grafana's pattern of a line's name, such as `{{route}}`. */
  readonly legend?: string;
}

export interface PanelSpec {
  readonly title: string;
  readonly hint?: string;
  /** A number, or lines over time. */
  readonly kind: "number" | "lines";
  /** Grafana's name of a unit. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** From here on a number is red. */
  readonly badFrom?: number;
  /** Shows something only while something is wrong; in a shop that is well it is empty or 0. */
  readonly isQuiet?: boolean;
}

export interface DashboardSpec {
  /** File name without its ending; the uid is made of it. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly panels: readonly PanelSpec[];
}

const SOURCE = { type: "prometheus", uid: "prometheus" } as const;
const COLUMNS = 24;
const SIZES = { number: { w: 6, h: 4 }, lines: { w: 12, h: 8 } } as const;

export function number(title: string, unit: string, expr: string, badFrom?: number): PanelSpec {
  const bad = badFrom === undefined ? {} : { badFrom };
  return { title, kind: "number", unit, queries: [{ expr }], ...bad };
}

export function lines(title: string, unit: string, ...queries: readonly Query[]): PanelSpec {
  return { title, kind: "lines", unit, queries };
}

/** A panel that shows something only while something is wrong. */
export function quiet(panel: PanelSpec): PanelSpec {
  return { ...panel, isQuiet: true };
}

/** The text of the dashboard's file. */
export function renderDashboard({ name, title, description, panels }: DashboardSpec): string {
  const dashboard = {
    uid: `shop-${name}`,
    title: `Shop: ${title}`,
    description,
    tags: ["shop"],
    schemaVersion: 39,
    version: 1,
    editable: false,
    timezone: "utc",
    refresh: "10s",
    time: { from: "now-1h", to: "now" },
    annotations: { list: [] },
    templating: { list: [] },
    links: [
      {
        type: "dashboards",
        tags: ["shop"],
        title: "Shop",
        asDropdown: true,
        includeVars: false,
        keepTime: true,
      },
    ],
    panels: placed(panels).map(({ panel, gridPos }, index) =>
      renderPanel(panel, { id: index + 1, gridPos }),
    ),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** From left to right, then the next row; a row is as high as its first panel. */
function placed(panels: readonly PanelSpec[]): { panel: PanelSpec; gridPos: Place }[] {
  let x = 0;
  let y = 0;
  let rowHeight = 0;
  return panels.map((panel) => {
    const { w, h } = SIZES[panel.kind];
    if (x + w > COLUMNS || (rowHeight > 0 && h !== rowHeight)) {
      x = 0;
      y += rowHeight;
      rowHeight = 0;
    }
    rowHeight = h;
    const gridPos = { x, y, w, h };
    x += w;
    return { panel, gridPos };
  });
}

function renderPanel(panel: PanelSpec, place: { id: number; gridPos: Place }): object {
  const { title, hint = "", kind, unit, queries, badFrom } = panel;
  const steps = [
    { color: "green", value: null },
    { color: "red", value: badFrom },
  ];
  return {
    ...place,
    type: kind === "number" ? "stat" : "timeseries",
    title,
    description: hint,
    datasource: SOURCE,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(badFrom === undefined ? {} : { thresholds: { mode: "absolute", steps } }),
      },
      overrides: [],
    },
    targets: queries.map(({ expr, legend = "" }, index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      expr,
      legendFormat: legend,
      datasource: SOURCE,
    })),
    options: kind === "number" ? NUMBER_OPTIONS : LINES_OPTIONS,
  };
}

const NUMBER_OPTIONS = {
  reduceOptions: { calcs: ["lastNotNull"] },
  colorMode: "value",
  graphMode: "area",
} as const;

const LINES_OPTIONS = {
  legend: { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] },
  tooltip: { mode: "multi", sort: "desc" },
} as const;
