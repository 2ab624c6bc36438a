// Rules, dashboards and autoscalers ask for targets by labels; each way of scraping the platform gives
// its targets exactly these: in compose, on one machine, in Kubernetes.
import assert from "node:assert/strict";
import { DASHBOARDS } from "../../scripts/dashboards/dashboards.ts";
import { renderDashboard } from "../../scripts/dashboards/render.ts";
import { ROLES } from "../../config/roles.ts";
import { must } from "../../services/kernel/assert.ts";
import { parseYaml, readYaml } from "../support/yaml.ts";
import { readRoot } from "../support/source.ts";

interface Relabel {
  readonly source_labels?: readonly string[];
  readonly regex?: string;
  readonly action?: string;
  readonly target_label?: string;
}

interface ScrapeJob {
  readonly job_name: string;
  readonly relabel_configs?: readonly Relabel[];
  readonly dns_sd_configs?: readonly { readonly names: readonly string[] }[];
  readonly file_sd_configs?: readonly { readonly files: readonly string[] }[];
}

interface PodSpec {
  readonly containers: readonly {
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
  }[];
}

interface Deployment {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly metadata: {
        readonly labels: Readonly<Record<string, string>>;
        readonly annotations: Readonly<Record<string, string>>;
      };
      readonly spec: PodSpec;
    };
  };
}

/** Labels that come from the target, not from the metric. */
const TARGET_LABELS = ["job", "role", "namespace", "pod"] as const;
type TargetLabel = (typeof TARGET_LABELS)[number];
const EVERYWHERE: readonly TargetLabel[] = ["job", "role"];

/** Values that are asked for, by label; a label that is only grouped by has none. */
function asked(text: string): ReadonlyMap<TargetLabel, ReadonlySet<string>> {
  const found = new Map<TargetLabel, Set<string>>();
  const note = (label: string, value?: string): void => {
    const known = TARGET_LABELS.find((one) => one === label);
    if (known === undefined) return;
    const values = found.get(known) ?? new Set();
    found.set(known, value === undefined || value === "" ? values : values.add(value));
  };
  for (const [, label = "", value = ""] of text.matchAll(/(\w+)=~?\\?["']([^"'\\]*)/g)) {
    note(label, value);
  }
  for (const [, labels = ""] of text.matchAll(/(?:by|on|without) \(([^)]*)\)/g)) {
    for (const label of labels.split(",")) note(label.trim());
  }
  for (const [, label = ""] of text.matchAll(/\$labels\.(\w+)/g)) note(label);
  return found;
}

const platformJob = (file: string): ScrapeJob => {
  const { scrape_configs } = readYaml(`deploy/prometheus/${file}`) as {
    scrape_configs: readonly ScrapeJob[];
  };
  return must(
    scrape_configs.find(({ job_name }) => job_name === "platform"),
    `the platform's job in ${file}`,
  );
};

/** Labels of the targets of a job, with the values that are known beforehand. */
function given(job: ScrapeJob): ReadonlyMap<string, readonly string[]> {
  const labels = new Map<string, readonly string[]>([["job", [job.job_name]]]);
  // The launcher's list brings its labels with it.
  if (job.file_sd_configs !== undefined) labels.set("role", Object.keys(ROLES));
  for (const { target_label: label = "__", source_labels: [source = ""] = [] } of relabelsOf(job)) {
    if (!label.startsWith("__")) labels.set(label, valuesOf(job, source));
  }
  return labels;
}

const relabelsOf = ({ relabel_configs: relabels }: ScrapeJob): readonly Relabel[] => relabels ?? [];

/** What the source of a label can be: the words it is kept for, or the names that are looked up. */
function valuesOf(job: ScrapeJob, source: string): readonly string[] {
  const kept = relabelsOf(job).find(
    ({ action, source_labels: [first] = [] }) => action === "keep" && first === source,
  );
  return kept?.regex?.split("|") ?? (job.dns_sd_configs ?? []).flatMap(({ names }) => names);
}

/** Which labels or values nobody gives. */
function missing(
  wanted: ReadonlyMap<TargetLabel, ReadonlySet<string>>,
  labels: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  return [...wanted].flatMap(([label, values]) => {
    const known = labels.get(label);
    if (known === undefined) return [label];
    return [...values].filter((value) => !known.includes(value)).map((one) => `${label}=${one}`);
  });
}

function metricsPortOf({ containers }: PodSpec): string | undefined {
  const env = containers.flatMap((container) => container.env ?? []);
  return env.find(({ name }) => name === "METRICS_PORT")?.value;
}

const QUERIES = [
  readRoot("deploy/prometheus/rules.yml"),
  ...DASHBOARDS.map((spec) => JSON.stringify(renderDashboard(spec))),
].join("\n");

describe("labels of what is scraped", () => {
  it("are what rules and dashboards ask for, wherever the platform runs", () => {
    const wanted = asked(QUERIES);
    assert.deepEqual([...wanted.keys()].sort(), [...EVERYWHERE].sort());
    assert.deepEqual([...(wanted.get("job") ?? [])], ["platform"]);
    for (const file of ["prometheus.yml", "local.yml", "kubernetes.yml"]) {
      assert.deepEqual(missing(wanted, given(platformJob(file))), [], file);
    }
  });

  it("name a role for every role there is, and the launcher's list does", () => {
    const roles = Object.keys(ROLES).sort();
    for (const file of ["prometheus.yml", "kubernetes.yml"]) {
      assert.deepEqual([...(given(platformJob(file)).get("role") ?? [])].sort(), roles, file);
    }
    assert.match(
      readRoot("scripts/launcher/run-state.ts"),
      /labels: \{ job: "platform", role: one\.name \}/,
    );
  });

  it("are in Kubernetes those the autoscalers' figures are by", () => {
    const labels = given(platformJob("kubernetes.yml"));
    const wanted = asked(readRoot("deploy/kubernetes/prometheus-adapter.yaml"));
    const adapter = readRoot("deploy/kubernetes/prometheus-adapter.yaml");
    for (const label of ["namespace", "pod"]) {
      assert.match(adapter, new RegExp(`${label}!=""`));
      assert.ok(labels.has(label), label);
    }
    assert.deepEqual(missing(wanted, labels), []);
  });

  it("are found on every pod, at the port where its metrics are", () => {
    const job = platformJob("kubernetes.yml");
    for (const role of Object.keys(ROLES)) {
      const documents = parseYaml(readRoot(`deploy/kubernetes/base/${role}.yaml`)) as Deployment[];
      const deployment = documents.find(({ kind }) => kind === "Deployment");
      const { metadata, spec } = must(deployment, "a deployment").spec.template;
      assert.equal(
        given(job)
          .get("role")
          ?.includes(metadata.labels["app"] ?? ""),
        true,
        role,
      );
      assert.equal(metadata.annotations["prometheus.io/scrape"], "true");
      assert.match(metadata.annotations["prometheus.io/port"] ?? "", /^[0-9]+$/);
      assert.equal(metricsPortOf(spec), metadata.annotations["prometheus.io/port"], role);
    }
  });

  it("see a job, a role and a label that nobody gives", () => {
    const wanted = asked(
      'up{job="shop"} == 0 or absent(up{role="edgy"}) and sum by (pod) (up) # {{ $labels.role }}',
    );
    const faults = missing(wanted, given(platformJob("prometheus.yml")));
    assert.deepEqual([...faults].sort(), ["job=shop", "pod", "role=edgy"]);
  });
});
