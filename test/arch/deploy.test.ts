// The deployment files against the product they deploy: settings, roles, ports and metrics that exist, pinned
// images, and the judgement of the real nginx and promtool.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv, promisify } from "node:util";
import { loadSettings } from "../../config/load.ts";
import { resolveServices } from "../../config/roles.ts";
import { SETTINGS } from "../../config/schema.ts";
import { createDocumentSigner } from "../../mixins/signing/ed25519.ts";
import { METRICS } from "../../mixins/metrics/catalogue.ts";
import { DASHBOARDS } from "../../scripts/dashboards/dashboards.ts";
import { renderDashboard } from "../../scripts/dashboards/render.ts";
import { readRoot, ROOT, sourceFiles } from "../support/source.ts";
import { INSTALL_TIMEOUT_MS, programPath } from "../support/program.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { readYaml } from "../support/yaml.ts";

const run = promisify(execFile);

interface ComposeService {
  readonly image: string;
  readonly build?: { readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly healthcheck?: { readonly test?: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly resources?: { readonly limits?: object } };
  readonly read_only?: boolean;
  readonly security_opt?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly volumes?: readonly string[];
}

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

const COMPOSE_FILES = ["docker-compose.yml", "docker-compose.infra.yml"] as const;
const SERVERS = ["mysql", "redis", "nats"] as const;
const ROLE_PORTS = { edge: 9101, core: 9102, worker: 9103 } as const;

const compose = (path: string): ComposeFile => readYaml(path) as ComposeFile;
const platform = compose("docker-compose.yml");

function isPinned(image: string): boolean {
  const tag = image.split("/").at(-1)?.split(":")[1] ?? "";
  return /^v?\d+\.\d+\.\d+/.test(tag);
}

function isWatched(name: string, { healthcheck }: ComposeService): boolean {
  return name === "migrate" || (healthcheck?.test?.length ?? 0) > 1;
}

function isConfined({ deploy, cap_drop, security_opt, ...service }: ComposeService): boolean {
  return (
    deploy?.resources?.limits !== undefined &&
    service.read_only === true &&
    cap_drop?.includes("ALL") === true &&
    security_opt?.includes("no-new-privileges:true") === true
  );
}

/** Names of metrics in a PromQL expression; what rules record is not a metric of a node. */
function metricsIn(expression: string): readonly string[] {
  return [...expression.matchAll(/\b(?:app|moleculer)_[a-z_]+/g)].map(([name]) =>
    name.replace(/_(?:bucket|count|sum)$/, ""),
  );
}

function unknownMetrics(expressions: readonly string[]): readonly string[] {
  return expressions.flatMap(metricsIn).filter((name) => !(name in METRICS));
}

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly annotations?: { readonly runbook: string };
}

function rules(): readonly Rule[] {
  const file = readYaml("deploy/prometheus/rules.yml") as {
    groups: readonly { rules: readonly Rule[] }[];
  };
  return file.groups.flatMap((group) => group.rules);
}

const QUERIES = DASHBOARDS.flatMap(({ panels }) =>
  panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)),
);

describe("compose files", () => {
  for (const path of COMPOSE_FILES) {
    const { services, volumes = {} } = compose(path);

    it(`${path} names a fixed version of every image`, () => {
      assert.deepEqual(
        Object.values(services)
          .map(({ image }) => image)
          .filter((image) => !isPinned(image)),
        [],
      );
    });

    it(`${path} watches, bounds and confines every container`, () => {
      const loose = Object.keys(services).filter((name) => {
        const service = services[name]!;
        return !(isWatched(name, service) && isConfined(service));
      });
      assert.deepEqual(loose, []);
    });

    it(`${path} keeps the servers' data in volumes it declares`, () => {
      for (const server of SERVERS) {
        const mounted = services[server]?.volumes?.map((volume) => volume.split(":")[0] ?? "");
        const written = mounted?.filter((source) => !source.startsWith("./"));
        assert.deepEqual(written, [`${server}-data`]);
        assert.ok(`${server}-data` in volumes);
      }
    });
  }

  it("gives nodes only settings that exist", () => {
    const nodes = Object.values(platform.services).filter(({ build }) => build !== undefined);
    assert.equal(nodes.length, 4);
    const names = nodes.flatMap(({ environment = {} }) => Object.keys(environment));
    assert.deepEqual(
      names.filter((name) => !(name in SETTINGS.properties)),
      [],
    );
  });

  it("sets every setting without a default on every node", () => {
    for (const role of [...Object.keys(ROLE_PORTS), "migrate"]) {
      const given = Object.keys(platform.services[role]?.environment ?? {});
      assert.deepEqual(
        SETTINGS.required.filter(
          (name) => !("default" in SETTINGS.properties[name]) && !given.includes(name),
        ),
        [],
      );
    }
  });

  it("takes every secret from the environment and fails when it is missing", () => {
    const text = readRoot("docker-compose.yml") + readRoot("docker-compose.infra.yml");
    const used = [...text.matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name = ""]) => name);
    const example = [...readRoot("deploy/compose.env.example").matchAll(/^([A-Z_]+)=/gm)];
    assert.deepEqual([...new Set(used)].sort(), example.map(([, name = ""]) => name).sort());
  });

  it("makes random secrets that the product takes, the key of the certificates among them", async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, "deploy"));
    const target = "deploy/compose.env";
    await run("make", ["-f", join(ROOT, "Makefile"), target], { cwd: folder });
    const made = parseEnv(readFileSync(join(folder, target), "utf8"));
    const example = Object.keys(parseEnv(readRoot("deploy/compose.env.example")));
    assert.deepEqual(Object.keys(made).sort(), example.sort());
    const settings = loadSettings({
      PROFILE: "production",
      MYSQL_URL: "mysql://mysql:3306",
      REDIS_URL: `redis://core:${made["REDIS_CORE_PASSWORD"] ?? ""}@redis:6379/0`,
      NATS_URL: `nats://core:${made["NATS_CORE_PASSWORD"] ?? ""}@nats:4222`,
      ...Object.fromEntries(Object.entries(made).filter(([name]) => name in SETTINGS.properties)),
    });
    const { key } = createDocumentSigner(settings.AUDIT_SIGNING_KEY);
    assert.equal(key.algorithm, "Ed25519");
    for (const role of Object.keys(ROLE_PORTS)) {
      const { environment = {} } = platform.services[role]!;
      assert.match(String(environment["AUDIT_SIGNING_KEY"]), /^\$\{AUDIT_SIGNING_KEY:\?/);
      assert.match(String(environment["API_CLIENT_SECRET"]), /^\$\{API_CLIENT_SECRET:\?/);
    }
  });

  for (const [role, port] of Object.entries(ROLE_PORTS)) {
    it(`runs the role ${role} and scrapes it on its fixed port`, () => {
      const { environment = {}, depends_on: before = {} } = platform.services[role]!;
      assert.equal(environment["SERVICES"], role);
      assert.deepEqual(resolveServices(role).unknown, []);
      assert.equal(environment["PROFILE"], "production");
      assert.equal(environment["METRICS_PORT"], port);
      assert.equal(before["migrate"]?.condition, "service_completed_successfully");
      for (const server of SERVERS) assert.equal(before[server]?.condition, "service_healthy");
      assert.match(readRoot("deploy/prometheus/prometheus.yml"), new RegExp(`port: ${port},`));
    });
  }

  it("mounts only files that exist", () => {
    const files = Object.values(platform.services)
      .flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(":")[0] ?? ""))
      .filter((source) => source.startsWith("./"));
    assert.ok(files.length >= 5);
    const known = sourceFiles(["deploy"], "").map(({ path }) => `./${path}`);
    assert.deepEqual(
      files.filter((file) => !known.some((path) => path === file || path.startsWith(`${file}/`))),
      [],
    );
  });
});

describe("rules and dashboards", () => {
  it("ask only for metrics that exist", () => {
    assert.deepEqual(unknownMetrics(rules().map(({ expr }) => expr)), []);
    assert.deepEqual(unknownMetrics(QUERIES), []);
  });

  it("see a metric that nobody exports", () => {
    assert.deepEqual(unknownMetrics(["rate(app_nothing_total[5m]) > moleculer_req_total"]), [
      "app_nothing_total",
    ]);
  });

  it("ask only for series that a rule records, and never hide that one is missing", () => {
    const recorded = rules().map(({ record }) => record);
    for (const query of [...QUERIES, ...rules().map(({ expr }) => expr)]) {
      for (const [name] of query.matchAll(/\b[a-z]+:[a-z_]+:[a-z0-9_]+/g)) {
        assert.ok(recorded.includes(name), name);
      }
      assert.doesNotMatch(query, /vector\(/);
    }
  });

  it("show every metric on a dashboard or watch it by a rule", () => {
    const asked = new Set([...QUERIES, ...rules().map(({ expr }) => expr)].flatMap(metricsIn));
    assert.deepEqual(
      Object.keys(METRICS).filter((name) => !asked.has(name)),
      [],
    );
  });

  it("are in Grafana's form what the code says, and nothing else is there", () => {
    const folder = "deploy/grafana/dashboards";
    for (const dashboard of DASHBOARDS) {
      assert.equal(readRoot(`${folder}/${dashboard.name}.json`), renderDashboard(dashboard));
    }
    assert.deepEqual(
      readdirSync(join(ROOT, folder)).sort(),
      DASHBOARDS.map(({ name }) => `${name}.json`).sort(),
    );
  });

  it("send whoever is woken to a section of the runbook, and no section waits in vain", () => {
    const headings = [...readRoot("docs/runbook.md").matchAll(/^## (.+)$/gm)];
    const anchors = headings.map(([, title = ""]) => title.toLowerCase().replaceAll(" ", "-"));
    const wanted = rules().flatMap(({ annotations }) =>
      annotations === undefined ? [] : [annotations.runbook],
    );
    assert.equal(wanted.length, rules().filter(({ alert }) => alert !== undefined).length);
    assert.deepEqual(
      wanted.filter((link) => !anchors.some((anchor) => link === `docs/runbook.md#${anchor}`)),
      [],
    );
    assert.deepEqual(
      anchors.filter((anchor) => !wanted.includes(`docs/runbook.md#${anchor}`)),
      [],
    );
    const page = readRoot("services/gateway/ops/ops-troubles.js");
    const named = [...page.matchAll(/runbook: "(.+?)"/g)].map(([, title = ""]) => title);
    const titles = headings.map(([, title = ""]) => title);
    assert.ok(named.length >= 8);
    assert.deepEqual(
      named.filter((title) => !titles.includes(title)),
      [],
    );
  });
});

describe("promtool", function () {
  this.timeout(INSTALL_TIMEOUT_MS);
  const folder = join(ROOT, "deploy/prometheus");

  for (const args of [
    ["check", "config", "prometheus.yml"],
    ["check", "config", "local.yml"],
    ["test", "rules", "rules.test.yml"],
  ]) {
    it(`agrees: ${args.join(" ")}`, async () => {
      const { stdout } = await run(await programPath("promtool"), args, { cwd: folder });
      assert.match(stdout, /SUCCESS/);
    });
  }

  it("has a case for every alert", () => {
    const cases = readRoot("deploy/prometheus/rules.test.yml");
    const names = rules().flatMap(({ alert }) => (alert === undefined ? [] : [alert]));
    assert.deepEqual(
      names.filter((name) => !cases.includes(`alertname: ${name}\n        exp_alerts:\n`)),
      [],
    );
  });
});
