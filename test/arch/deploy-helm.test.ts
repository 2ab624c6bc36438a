// The Helm chart: what it renders with its own values is what Kustomize's base says, and its schema
// refuses what the templates would not understand.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { SETTINGS } from "../../config/schema.ts";
import { GoTemplates } from "../support/go-template.ts";
import { readRoot, ROOT } from "../support/source.ts";
import { parseYaml, readYaml } from "../support/yaml.ts";

const CHART = "deploy/helm";
const BASE = "deploy/kubernetes/base";
/** Said by the chart alone: who installed an object, in which revision, and when its job runs. */
const OF_HELM = /^(?:app\.kubernetes\.io|helm\.sh)\/|^shop\/revision$/;

type Json = Readonly<Record<string, unknown>>;
interface KubernetesObject extends Json {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

const chart = readYaml(`${CHART}/Chart.yaml`) as Json;
const values = readYaml(`${CHART}/values.yaml`) as Json & { readonly settings: Json };
const schema = JSON.parse(readRoot(`${CHART}/values.schema.json`)) as object;
const isValid = new Ajv({ strict: true, strictRequired: false }).compile(schema);

function rendered(changes: Json = {}): readonly KubernetesObject[] {
  const data = {
    Values: { ...values, ...changes },
    Chart: { Name: chart["name"], Version: chart["version"] },
    Release: { Name: "shop", Namespace: "shop", Service: "Helm", Revision: 1 },
  };
  const templates = new GoTemplates();
  templates.render(readRoot(`${CHART}/templates/_parts.tpl`), data);
  const files = readdirSync(join(ROOT, CHART, "templates")).filter((name) => name !== "_parts.tpl");
  const texts = files.map((name) => [
    name,
    templates.render(readRoot(`${CHART}/templates/${name}`), data),
  ]);
  return texts
    .filter(([name = ""]) => name.endsWith(".yaml"))
    .flatMap(([, text = ""]) => parseYaml(text) as KubernetesObject[]);
}

function ofKustomize(): readonly KubernetesObject[] {
  const { resources } = readYaml(`${BASE}/kustomization.yaml`) as { resources: string[] };
  return resources.flatMap(
    (file) => parseYaml(readRoot(`${BASE}/${file}`)) as unknown as KubernetesObject[],
  );
}

/** Without what only Helm says, so that both can be compared; empty maps that are left are none. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value)
    .filter(([name]) => !OF_HELM.test(name))
    .map(([name, inner]) => [name, plain(inner)] as const)
    .filter(([name, inner]) => !(isMetadata(name) && Object.keys(inner as object).length === 0));
  return Object.fromEntries(kept);
}

const isMetadata = (name: string): boolean => name === "labels" || name === "annotations";

function byName(objects: readonly KubernetesObject[]): Map<string, unknown> {
  const sorted = objects.map((one) => [`${one.kind}/${one.metadata.name}`, plain(one)] as const);
  return new Map([...sorted].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The chart's migration runs before the ConfigMap is there and has its settings of its own. */
function withOwnSettings(job: unknown): unknown {
  const changed = structuredClone(job) as {
    spec: { template: { spec: { containers: [{ env: Json[]; envFrom: Json[] }] } } };
  };
  const [container] = changed.spec.template.spec.containers;
  container.envFrom = container.envFrom.filter((source) => !("configMapRef" in source));
  const own = Object.entries(values.settings).sort(([one], [other]) => (one < other ? -1 : 1));
  container.env = [...own.map(([name, value]) => ({ name, value })), ...container.env];
  return changed;
}

describe("the Helm chart", () => {
  it("renders, with its own values, what Kustomize's base says", () => {
    const wanted = byName(ofKustomize());
    wanted.set("Job/migrate", withOwnSettings(wanted.get("Job/migrate")));
    const made = byName(rendered());
    assert.deepEqual([...made.keys()], [...wanted.keys()]);
    for (const [name, object] of wanted) assert.deepEqual(made.get(name), object, name);
  });

  it("renders what an installation may add", () => {
    const nodes = rendered({
      imagePullSecrets: ["registry"],
      nodeSelector: { "kubernetes.io/arch": "amd64" },
    }).filter(({ kind }) => kind === "Deployment" || kind === "Job");
    assert.equal(nodes.length, 4);
    for (const node of nodes) {
      const { spec } = (node["spec"] as { template: { spec: Json } }).template;
      assert.deepEqual(spec["imagePullSecrets"], [{ name: "registry" }]);
      assert.deepEqual(spec["nodeSelector"], { "kubernetes.io/arch": "amd64" });
    }
  });

  it("counts the pods itself where nothing scales them", () => {
    const roles = structuredClone(values["roles"]) as Record<string, Json>;
    for (const name of Object.keys(roles)) {
      roles[name] = { ...roles[name], replicas: 3, autoscaling: { enabled: false } };
    }
    const objects = rendered({ roles });
    assert.ok(objects.every(({ kind }) => kind !== "HorizontalPodAutoscaler"));
    const counts = objects
      .filter(({ kind }) => kind === "Deployment")
      .map((one) => (one["spec"] as { replicas: number }).replicas);
    assert.deepEqual(counts, [3, 3, 3]);
  });

  it("has a schema that its own values meet and a wrong one does not", () => {
    assert.ok(isValid(values), JSON.stringify(isValid.errors));
    const wrong: readonly Json[] = [
      { ...values, imag: {} },
      { ...values, image: { repository: "shop", tag: "latest" } },
      { ...values, settings: { PORT: 8080 } },
      { ...values, terminationGracePeriodSeconds: 10 },
      { ...values, roles: { ...(values["roles"] as Json), extra: {} } },
    ];
    for (const one of wrong) assert.ok(!isValid(one), JSON.stringify(one));
  });

  it("uses every value it offers, sets only settings that exist, and has the product's version", () => {
    const text = readdirSync(join(ROOT, CHART, "templates"))
      .map((name) => readRoot(`${CHART}/templates/${name}`))
      .join("");
    const offered = Object.entries(values).flatMap(([name, value]) =>
      name === "roles" || name === "settings" || !isMap(value)
        ? [name]
        : Object.keys(value).map((inner) => `${name}.${inner}`),
    );
    assert.deepEqual(
      offered.filter((name) => !text.includes(`.Values.${name}`)),
      [],
    );
    const unknown = Object.keys(values.settings).filter((name) => !(name in SETTINGS.properties));
    assert.deepEqual(unknown, []);
    const { version } = JSON.parse(readRoot("package.json")) as { version: string };
    assert.deepEqual([chart["version"], chart["appVersion"]], [version, version]);
    assert.equal((values["image"] as Json)["tag"], version);
  });

  it("is not understood when a template asks for what is not there", () => {
    const render = (text: string): string => new GoTemplates().render(text, { Values: { a: 1 } });
    assert.equal(render("{{ if eq .Values.a 1 }}{{ end }}x{{- /* c */ -}} y").trim(), "xy");
    assert.throws(() => render("{{ .Values.b }}"), /there is no \.Values\.b/);
    assert.throws(() => render("{{ if .Values.a }}"), /end/);
    assert.throws(() => render("{{ .Values.a | quote }}"), /not understood/);
  });
});

const isMap = (value: unknown): value is Json =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.keys(value).length > 0;
