// What the Kubernetes manifests say of each other: selectors that select, ports, volumes and secrets that
// are there, probes on paths that answer, patches of objects that exist. Each rule is seen to find a fault.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { rootMethods } from "../../services/gateway/root-routes.ts";
import { readRoot, ROOT } from "../support/source.ts";
import { parseYaml, readYaml } from "../support/yaml.ts";

const FOLDER = "deploy/kubernetes";

type Labels = Readonly<Record<string, string>>;

interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly values: string[] }[];
}

interface Probe {
  readonly httpGet?: { path: string; readonly port: string };
  readonly exec?: { readonly command: readonly string[] };
}

interface Container {
  readonly name: string;
  readonly command?: readonly string[];
  readonly env?: readonly {
    readonly valueFrom?: { readonly secretKeyRef?: { name: string; readonly key: string } };
  }[];
  readonly envFrom?: readonly {
    readonly configMapRef?: { readonly name: string };
    readonly secretRef?: { readonly name: string };
  }[];
  readonly ports?: readonly { name: string }[];
  readonly volumeMounts?: readonly { readonly name: string }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
}

interface Pod {
  readonly metadata: { readonly labels: Labels };
  readonly spec: {
    readonly containers: readonly [Container];
    readonly volumes?: readonly { readonly name: string }[];
    readonly topologySpreadConstraints?: readonly { readonly labelSelector: Selector }[];
  };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly stringData?: Labels;
  readonly spec?: {
    readonly template?: Pod;
    readonly podSelector?: Selector;
    readonly selector?: Selector & Labels;
    readonly ports?: readonly { targetPort: string }[];
    readonly ingress?: readonly { readonly ports: readonly { port: string }[] }[];
    readonly scaleTargetRef?: { name: string };
    readonly replicas?: number;
  };
}

interface Overlay {
  readonly images: readonly { readonly name: string }[];
  readonly patches: readonly {
    readonly target: { readonly kind: string; readonly name?: string };
    readonly patch: string;
  }[];
}

const { resources } = readYaml(`${FOLDER}/base/kustomization.yaml`) as { resources: string[] };
const manifestsOf = (path: string): Manifest[] => parseYaml(readRoot(path)) as Manifest[];
const base = resources.flatMap((file) => manifestsOf(`${FOLDER}/base/${file}`));
const secrets = manifestsOf(`${FOLDER}/secrets.example.yaml`);
const dockerfile = readRoot("deploy/Dockerfile");

const podsOf = (all: readonly Manifest[]): Pod[] =>
  all.flatMap(({ spec }) => (spec?.template === undefined ? [] : [spec.template]));

function selects(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  { metadata }: Pod,
): boolean {
  const wanted = Object.entries(matchLabels).map(([key, value]) => ({ key, values: [value] }));
  return [...wanted, ...matchExpressions].every(({ key, values }) =>
    values.includes(metadata.labels[key] ?? ""),
  );
}

const hasPort = (pod: Pod, port: string): boolean =>
  pod.spec.containers[0].ports?.some(({ name }) => name === port) === true;

/** Whom it selects by what; undefined for an object that selects nobody. */
function selectorOf({ kind, spec }: Manifest): Selector | undefined {
  if (spec?.podSelector !== undefined) return spec.podSelector;
  if (kind === "Service" && spec?.selector !== undefined) return { matchLabels: spec.selector };
  return spec?.selector;
}

function portsOf({ spec }: Manifest): readonly string[] {
  const entered = spec?.ingress?.flatMap((rule) => rule.ports.map(({ port }) => port)) ?? [];
  return [...(spec?.ports?.map(({ targetPort }) => targetPort) ?? []), ...entered];
}

function faultsOfSelectors(all: readonly Manifest[]): string[] {
  const pods = podsOf(all);
  return all.flatMap((one) => {
    const selector = selectorOf(one);
    if (selector === undefined) return [];
    const name = `${one.kind} ${one.metadata.name}`;
    const among = one.kind === "Deployment" ? podsOf([one]) : pods;
    const selected = among.filter((pod) => selects(selector, pod));
    const wanted = selector.matchExpressions?.flatMap(({ values }) => values).length ?? 1;
    const missing = portsOf(one).filter((port) => !selected.every((pod) => hasPort(pod, port)));
    return [
      ...(selected.length < wanted ? [`${name} selects pods that are not there`] : []),
      ...missing.map((port) => `${name} names a port ${port} that is not there`),
    ];
  });
}

function isAnswered(pod: Pod, { httpGet, exec }: Probe): boolean {
  if (exec !== undefined) return isInImage(exec.command);
  if (httpGet === undefined || !hasPort(pod, httpGet.port)) return false;
  return httpGet.port === "metrics"
    ? httpGet.path === "/metrics"
    : rootMethods(httpGet.path).length > 0;
}

/** Whether a program of ours is copied into the image. */
function isInImage([program, file = ""]: readonly string[]): boolean {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    ([, sources = ""]) => sources.split(" "),
  );
  return program === "node" && copied.some((one) => file === one || file.startsWith(`${one}/`));
}

function faultsOfPods(all: readonly Manifest[]): string[] {
  const given = new Map(secrets.map(({ metadata, stringData }) => [metadata.name, stringData]));
  const maps = all.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name);
  return podsOf(all).flatMap((pod) => {
    const [container] = pod.spec.containers;
    const name = pod.metadata.labels["app"] ?? "?";
    const { startupProbe, readinessProbe, livenessProbe, env = [], envFrom = [] } = container;
    const probes = [startupProbe, readinessProbe, livenessProbe].filter((one) => one !== undefined);
    const keys = env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []);
    const volumes = pod.spec.volumes?.map((volume) => volume.name) ?? [];
    const claims: readonly (readonly [string, boolean])[] = [
      ["probes what does not answer", probes.every((probe) => isAnswered(pod, probe))],
      [
        "runs what is not in the image",
        isInImage(container.command ?? ["node", "services/main.ts"]),
      ],
      [
        "wants a secret that is not there",
        keys.every((one) => one.key in (given.get(one.name) ?? {})),
      ],
      [
        "mounts what is not there",
        (container.volumeMounts ?? []).every((one) => volumes.includes(one.name)),
      ],
      [
        "takes settings from what is not there",
        envFrom.every(({ configMapRef, secretRef }) =>
          configMapRef === undefined
            ? given.has(secretRef?.name ?? "")
            : maps.includes(configMapRef.name),
        ),
      ],
      [
        "is spread by another's label",
        (pod.spec.topologySpreadConstraints ?? []).every((one) => selects(one.labelSelector, pod)),
      ],
    ];
    return claims.filter(([, holds]) => !holds).map(([fault]) => `${name} ${fault}`);
  });
}

function faultsOfScaling(all: readonly Manifest[]): string[] {
  const scaled = all.flatMap(({ spec }) => spec?.scaleTargetRef?.name ?? []);
  return all
    .filter(({ kind, metadata }) => kind === "Deployment" && scaled.includes(metadata.name))
    .filter(({ spec }) => spec?.replicas !== undefined)
    .map(({ metadata }) => `${metadata.name} counts pods that an autoscaler counts`);
}

const faultsOf = (all: readonly Manifest[]): string[] => [
  ...faultsOfSelectors(all),
  ...faultsOfPods(all),
  ...faultsOfScaling(all),
];

/** What a patch of JSON (RFC 6902) would not find; `replace` alone is used. */
function faultsOfPatches({ patches, images }: Overlay): string[] {
  const used = podsOf(base).map(({ spec }) => JSON.stringify(spec.containers));
  const unknownImages = images.filter(
    ({ name }) => !used.every((text) => text.includes(`"image":"${name}:`)),
  );
  const missed = patches.flatMap(({ target, patch }) => {
    const found = base.filter(
      ({ kind, metadata }) =>
        kind === target.kind && (target.name === undefined || target.name === metadata.name),
    );
    const operations = parseYaml(patch).flat() as { op: string; path: string }[];
    const lost = operations.filter(({ op, path }) => op !== "replace" || !isThere(found, path));
    return found.length === 0 ? [JSON.stringify(target)] : lost.map(({ path }) => path);
  });
  return [...unknownImages.map(({ name }) => name), ...missed];
}

function isThere(objects: readonly Manifest[], path: string): boolean {
  const names = path.split("/").slice(1);
  return objects.every(
    (object) =>
      names.reduce<unknown>(
        (value, name) => (value as Readonly<Record<string, unknown>> | undefined)?.[name],
        object,
      ) !== undefined,
  );
}

describe("references between the Kubernetes manifests", () => {
  it("all lead to something", () => {
    assert.equal(podsOf(base).length, 4);
    assert.deepEqual(faultsOf(base), []);
  });

  it("are patched by overlays only where there is something", () => {
    for (const name of readdirSync(join(ROOT, FOLDER, "overlays"))) {
      const overlay = readYaml(`${FOLDER}/overlays/${name}/kustomization.yaml`) as Overlay;
      assert.deepEqual(faultsOfPatches(overlay), [], name);
      const target = { kind: "Deployment", name: "nothing" };
      const patch = "- { op: replace, path: /spec/replicas, value: 1 }";
      const lost = { images: [{ name: "other" }], patches: [{ target, patch }] };
      assert.deepEqual(faultsOfPatches(lost), ["other", JSON.stringify(target)]);
      const path = { target: { kind: "HorizontalPodAutoscaler" }, patch };
      assert.deepEqual(faultsOfPatches({ images: [], patches: [path] }), ["/spec/replicas"]);
    }
  });

  const planted: readonly (readonly [string, RegExp, string])[] = [
    ["a selector", /"matchLabels":\{"app":"worker"\}/g, '"matchLabels":{"app":"wrker"}'],
    ["a service's port", /"targetPort":"http"/, '"targetPort":"web"'],
    ["a policy's port", /\[\{"port":"metrics"\}\]/, '[{"port":"metric"}]'],
    ["a policy's pods", /"values":\["edge","core","worker"\]/, '"values":["edge","cor","worker"]'],
    ["a probe's path", /"path":"\/readyz"/, '"path":"/ready"'],
    ["a probe's program", /"deploy\/healthcheck.mjs"/, '"deploy/health.mjs"'],
    ["a secret's key", /"key":"MYSQL_URL"/, '"key":"MYSQL"'],
    ["a config map", /"configMapRef":\{"name":"shop-settings"\}/, '"configMapRef":{"name":"x"}'],
    ["a volume", /"volumes":\[\{"name":"tmp"/, '"volumes":[{"name":"temp"'],
    ["a command", /"migrations\/migrate.ts"/, '"migration/migrate.ts"'],
    ["a count", /"spec":\{"selector"/, '"spec":{"replicas":2,"selector"'],
  ];
  for (const [what, from, to] of planted) {
    it(`are missed when ${what} leads nowhere`, () => {
      const text = JSON.stringify(base);
      const changed = text.replace(from, to);
      assert.notEqual(changed, text);
      assert.ok(faultsOf(JSON.parse(changed) as Manifest[]).length > 0);
    });
  }
});
