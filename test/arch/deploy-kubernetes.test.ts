// The Kubernetes manifests and the workflow, held against the product: what they name has to exist.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { resolveServices } from "../../config/roles.ts";
import { isSecret, SETTINGS, type SettingName } from "../../config/schema.ts";
import { METRICS } from "../../mixins/metrics/catalogue.ts";
import { readRoot, ROOT } from "../support/source.ts";
import { parseYaml, readYaml } from "../support/yaml.ts";

const FOLDER = "deploy/kubernetes";
const ROLES = ["edge", "core", "worker"] as const;
/** A node ends itself by force after this. */
const FORCED_EXIT_S = 25;

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
  readonly exec?: { readonly command: readonly string[] };
}

interface Container {
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly requests?: object; readonly limits?: object };
  readonly securityContext: {
    readonly readOnlyRootFilesystem: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly capabilities: { readonly drop: readonly string[] };
  };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: { readonly app: string } };
      readonly spec: {
        readonly terminationGracePeriodSeconds?: number;
        readonly securityContext: { readonly runAsNonRoot: boolean };
        readonly containers: readonly [Container];
      };
    };
    readonly selector: { readonly matchLabels: { readonly app: string } };
    readonly scaleTargetRef: { readonly name: string };
    readonly podSelector: object;
    readonly policyTypes: readonly string[];
    readonly ingress?: readonly object[];
    readonly metrics: readonly { readonly pods?: { readonly metric: { readonly name: string } } }[];
  };
}

const files = readdirSync(join(ROOT, FOLDER, "base")).filter(
  (file) => file !== "kustomization.yaml",
);
const manifests = files.flatMap(
  (file) => parseYaml(readRoot(`${FOLDER}/base/${file}`)) as Manifest[],
);
const ofKind = (kind: string): Manifest[] => manifests.filter((one) => one.kind === kind);
const named = (kind: string, name: string): Manifest => {
  const found = ofKind(kind).find(({ metadata }) => metadata.name === name);
  assert.ok(found !== undefined, `no ${kind} ${name}`);
  return found;
};

/** What is wrong with a pod's template; empty = nothing. */
function faultsOf({ spec: { template } }: Manifest): readonly string[] {
  const [container] = template.spec.containers;
  const { securityContext: rights } = container;
  const claims: readonly (readonly [string, boolean])[] = [
    ["runs as root", template.spec.securityContext.runAsNonRoot],
    ["may write its root", rights.readOnlyRootFilesystem],
    ["may gain rights", !rights.allowPrivilegeEscalation],
    ["has capabilities", rights.capabilities.drop.includes("ALL")],
    ["has no limit of memory", container.resources.limits !== undefined],
    ["has no pinned image", /:\d+\.\d+\.\d+$/.test(container.image)],
  ];
  return claims.filter(([, holds]) => !holds).map(([fault]) => fault);
}

describe("the Kubernetes manifests", () => {
  it("are all part of the kustomization, and every overlay stands on the base", () => {
    const { resources } = readYaml(`${FOLDER}/base/kustomization.yaml`) as {
      resources: string[];
    };
    assert.deepEqual([...resources].sort(), [...files].sort());
    for (const overlay of readdirSync(join(ROOT, FOLDER, "overlays"))) {
      const path = `${FOLDER}/overlays/${overlay}`;
      const one = readYaml(`${path}/kustomization.yaml`) as { resources: string[] };
      for (const resource of one.resources) assert.ok(existsSync(join(ROOT, path, resource)));
    }
  });

  it("name settings that exist, and none that is secret outside a Secret", () => {
    const known = Object.keys(SETTINGS.properties);
    const plain = Object.keys(named("ConfigMap", "shop-settings").data ?? {});
    assert.deepEqual(
      plain.filter((name) => !known.includes(name) || isSecret(name as SettingName)),
      [],
    );
    const secrets = parseYaml(readRoot(`${FOLDER}/secrets.example.yaml`)) as Manifest[];
    for (const { stringData = {} } of secrets) {
      const wrong = Object.entries(stringData).filter(
        ([name, value]) => !known.includes(name) || !isSecret(name as SettingName) || value !== "",
      );
      assert.deepEqual(wrong, []);
    }
    const given = [...plain, ...Object.keys(secrets[0]?.stringData ?? {})];
    assert.ok(given.includes("AUDIT_SIGNING_KEY"), "without it no sale has a certificate");
    assert.ok(given.includes("API_CLIENT_SECRET"), "without it nobody can sign requests");
    const needed = SETTINGS.required.filter(
      (name) => !("default" in SETTINGS.properties[name as SettingName]),
    );
    assert.deepEqual(
      needed.filter((name) => !given.includes(name)),
      [],
    );
  });

  for (const role of ROLES) {
    it(`run ${role} confined, probed, and stop it after its work`, () => {
      const deployment = named("Deployment", role);
      const { template } = deployment.spec;
      const [container] = template.spec.containers;
      assert.deepEqual(faultsOf(deployment), []);
      const env = new Map(container.env?.map(({ name, value }) => [name, value]));
      assert.deepEqual(resolveServices(env.get("SERVICES") ?? "?").unknown, []);
      const port = container.ports?.find(({ name }) => name === "metrics")?.containerPort;
      assert.equal(env.get("METRICS_PORT"), String(port));
      for (const probe of [container.readinessProbe, container.livenessProbe]) {
        assert.ok(container.ports?.some(({ name }) => name === probe?.httpGet?.port) === true);
      }
      const graceS = template.spec.terminationGracePeriodSeconds ?? 0;
      assert.ok(graceS > FORCED_EXIT_S + (container.lifecycle?.preStop.sleep.seconds ?? 0));
      assert.equal(named("PodDisruptionBudget", role).spec.selector.matchLabels.app, role);
      assert.equal(template.metadata.labels.app, role);
    });
  }

  it("scale by figures that the nodes really count", () => {
    const adapter = readRoot(`${FOLDER}/prometheus-adapter.yaml`);
    const { rules } = parseYaml(adapter)[0] as {
      rules: { custom: { name: { as: string }; seriesQuery: string }[] };
    };
    for (const { seriesQuery } of rules.custom) {
      assert.ok((/^\w+/.exec(seriesQuery)?.[0] ?? "") in METRICS, seriesQuery);
    }
    const scalers = ofKind("HorizontalPodAutoscaler");
    assert.ok(scalers.length > 0);
    for (const { spec } of scalers) {
      named("Deployment", spec.scaleTargetRef.name);
      const asked = spec.metrics.flatMap(({ pods }) =>
        pods === undefined ? [] : [pods.metric.name],
      );
      assert.ok(asked.length > 0);
      for (const name of asked)
        assert.ok(
          rules.custom.some((rule) => rule.name.as === name),
          name,
        );
    }
  });

  it("let nobody in by default", () => {
    const closed = ofKind("NetworkPolicy").filter(({ spec }) => spec.ingress === undefined);
    assert.equal(closed.length, 1);
    const selected = JSON.stringify(closed[0]?.spec.podSelector);
    for (const role of ROLES) assert.ok(selected.includes(`"${role}"`), role);
  });

  it("are missed when a pod may do more than it has to", () => {
    const planted = structuredClone(named("Deployment", "edge"));
    Object.assign(planted.spec.template.spec.containers[0].securityContext, {
      readOnlyRootFilesystem: false,
    });
    assert.deepEqual(faultsOf(planted), ["may write its root"]);
  });
});

const SCRIPTS = Object.keys((JSON.parse(readRoot("package.json")) as { scripts: object }).scripts);

/** Names of npm scripts that a text calls and that are not there. */
const lostScripts = (text: string): string[] =>
  [...text.matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g)]
    .map(([, name, short]) => name ?? short ?? "")
    .filter((name) => !SCRIPTS.includes(name));

describe("the workflow of continuous integration", () => {
  const text = readRoot(".github/workflows/ci.yml");
  const { jobs } = parseYaml(text)[0] as {
    jobs: Record<string, { needs?: string[]; steps: { run?: string; uses?: string }[] }>;
  };

  it("runs scripts and reads folders that exist", () => {
    assert.deepEqual(lostScripts(text), []);
    assert.deepEqual(lostScripts("npm run nothing"), ["nothing"]);
    const files = [".ci/run", ...(text.match(/deploy\/[\w/.]+/g) ?? [])];
    assert.ok(files.length > 5);
    const made = "deploy/compose.env";
    assert.deepEqual(
      files.filter((file) => file !== made && !existsSync(join(ROOT, file))),
      [],
    );
  });

  it("releases only what was tested and built, under the version that it has", () => {
    const others = Object.keys(jobs).filter((name) => name !== "release");
    assert.deepEqual(jobs["release"]?.needs, others);
    const uses = Object.values(jobs).flatMap(({ steps }) => steps.map((step) => step.uses ?? ""));
    assert.ok(uses.filter(Boolean).every((one) => /@v\d+$/.test(one)));
    const { version } = JSON.parse(readRoot("package.json")) as { version: string };
    assert.ok(text.includes(`tags: flash-sale-platform:${version}\n`));
  });
});

describe("the Makefile", () => {
  const text = readRoot("Makefile");

  it("has the verbs that people try, explains each, and calls what exists", () => {
    const verbs = /^\.PHONY: (.+)$/m.exec(text)?.[1]?.split(" ") ?? [];
    for (const verb of ["run", "test", "bench", "demo", "clean"]) assert.ok(verbs.includes(verb));
    const wrong = verbs.filter(
      (verb) =>
        !new RegExp(`^${verb}:`, "m").test(text) ||
        (verb !== "help" && !text.includes(`"make ${verb} `)),
    );
    assert.deepEqual(wrong, []);
    assert.deepEqual(lostScripts(text), []);
    for (const [, file = ""] of text.matchAll(/-f (\S+)/g)) assert.ok(existsSync(join(ROOT, file)));
  });

  it("makes every secret that the containers want", () => {
    const recipe = text.slice(text.indexOf("deploy/compose.env:\n"), text.indexOf("mv $@.new"));
    const wanted = [...readRoot("deploy/compose.env.example").matchAll(/^([A-Z_]+)=/gm)];
    assert.deepEqual(
      wanted.map(([, name = ""]) => name).filter((name) => !recipe.includes(name)),
      [],
    );
  });
});
