// How containers' log lines get to Loki and from there to their traces: files that name each other, in
// words of the lines that nodes really write.
import assert from "node:assert/strict";
import { pino } from "pino";
import { ROLES } from "../../config/roles.ts";
import { runInContext } from "../../mixins/context.ts";
import { logOptions } from "../../mixins/log.ts";
import { readRoot } from "../support/source.ts";
import { readYaml } from "../support/yaml.ts";

interface Container {
  readonly volumes?: readonly string[];
  readonly logging?: {
    readonly driver: string;
    readonly options: Readonly<Record<string, string>>;
  };
}

interface DataSource {
  readonly uid: string;
  readonly type: string;
  readonly url: string;
  readonly jsonData?: {
    readonly derivedFields?: readonly {
      readonly datasourceUid: string;
      readonly matcherType: string;
      readonly matcherRegex: string;
    }[];
    readonly tracesToLogsV2?: { readonly datasourceUid: string; readonly query: string };
  };
}

interface LokiConfig {
  readonly server: { readonly http_listen_port: number };
  readonly schema_config: { readonly configs: readonly { readonly schema: string }[] };
  readonly limits_config: Readonly<Record<string, unknown>>;
  readonly compactor: { readonly retention_enabled: boolean };
}

const { services } = readYaml("docker-compose.yml") as { services: Record<string, Container> };
const { datasources } = readYaml("deploy/grafana/provisioning/datasources/shop.yml") as {
  datasources: DataSource[];
};
const loki = readYaml("deploy/loki/loki.yml") as LokiConfig;
const source = readRoot("deploy/loki/source.alloy");
const IDS = ["trace_id", "request_id", "user_id"];

function ofType(type: string): DataSource {
  const found = datasources.filter((one) => one.type === type);
  assert.equal(found.length, 1);
  return found[0]!;
}

/** A line as a node writes it for a request. */
function writtenLine(): Readonly<Record<string, unknown>> {
  let text = "";
  const log = pino(logOptions("info", { node: "edge-1" }), { write: (line) => (text += line) });
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  runInContext({ requestId: "r", userId: "1", traceparent }, () => log.info({}, "something"));
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

/** Names on the left in each block of this stage, in order. */
function namesIn(stage: string, text = source): string[] {
  const blocks = [
    ...text.matchAll(new RegExp(`stage\\.${stage} \\{([\\s\\S]*?)\\n {2,4}\\}`, "g")),
  ];
  assert.ok(blocks.length > 0, stage);
  return blocks.flatMap(([, body = ""]) =>
    [...body.matchAll(/(\w+)\s*= "/g)].map(([, name = ""]) => name),
  );
}

describe("log lines in containers", () => {
  it("are written into files of bounded size that say whose they are", () => {
    for (const [name, { logging }] of Object.entries(services)) {
      assert.equal(logging?.driver, "json-file", name);
      const { "max-size": size, "max-file": files, labels, tag } = logging.options;
      assert.ok(Number.parseInt(size ?? "", 10) <= 50 && Number(files) <= 10, name);
      assert.equal(labels, "com.docker.compose.service", name);
      assert.ok(source.includes(`tag!=\\"${tag ?? ""}\\"`), name);
    }
  });

  it("are read where Docker writes them, without a way to Docker itself", () => {
    const mounted = services["logs"]?.volumes?.map((volume) => volume.split(":").slice(-2)) ?? [];
    const folder = /"__path__" = "(.+?)\/\*/.exec(source)?.[1] ?? "?";
    assert.deepEqual(mounted.find(([target]) => target === folder)?.[1], "ro");
    assert.doesNotMatch(readRoot("docker-compose.yml"), /docker\.sock/);
  });

  it("go through parts that are there, to the Loki that is there", () => {
    const declared = [...source.matchAll(/^([\w.]+) "(\w+)" \{$/gm)].map(
      ([, kind = "", name = ""]) => `${kind}.${name}`,
    );
    const asked = [...source.matchAll(/= \[?([a-z_.]+)\.(?:receiver|targets)\b/g)];
    assert.ok(asked.length >= 3);
    for (const [, name = ""] of asked) assert.ok(declared.includes(name), name);
    assert.equal(source.split("{").length, source.split("}").length);
    const port = loki.server.http_listen_port;
    assert.ok(source.includes(`"http://loki:${port}/loki/api/v1/push"`));
    assert.ok("loki" in services);
  });

  it("have few labels, and a request's ids beside them under the names that nodes write", () => {
    const kept = /stage\.label_keep \{\s+values = \[(.+?)\]/.exec(source)?.[1] ?? "";
    assert.deepEqual(JSON.parse(`[${kept}]`), ["service", "level", "stream"]);
    const beside = namesIn("structured_metadata");
    const line = writtenLine();
    assert.deepEqual(
      [...beside, "level"].filter((name) => !(name in line)),
      [],
    );
    for (const id of IDS) assert.ok(beside.includes(id), id);
    const labelled = namesIn("labels");
    assert.ok(labelled.every((name) => ["service", "tag", "level"].includes(name)));
    for (const name of [...beside, "level"]) assert.ok(namesIn("json").includes(name), name);
    const nodes = /selector = "\{service=~\\"(.+?)\\"/.exec(source)?.[1]?.split("|") ?? [];
    assert.deepEqual(nodes.sort(), [...Object.keys(ROLES), "migrate"].sort());
  });

  it("are bounded in number, size and age", () => {
    assert.ok(loki.compactor.retention_enabled);
    assert.ok(loki.schema_config.configs.every(({ schema }) => schema >= "v13"));
    assert.equal(loki.limits_config["allow_structured_metadata"], true);
    for (const name of [
      "retention_period",
      "max_global_streams_per_user",
      "max_label_names_per_series",
      "max_line_size",
      "ingestion_rate_mb",
    ]) {
      assert.ok(name in loki.limits_config, name);
    }
    assert.match(source, /stage\.limit \{/);
  });

  it("lead to their trace and back in Grafana, which asks servers that are there", () => {
    for (const { url } of datasources) assert.ok(new URL(url).hostname in services, url);
    const [logs, traces] = [ofType("loki"), ofType("jaeger")];
    assert.equal(Number(new URL(logs.url).port), loki.server.http_listen_port);
    const link = { datasourceUid: traces.uid, matcherType: "label", matcherRegex: "trace_id" };
    const fields = logs.jsonData?.derivedFields ?? [];
    assert.deepEqual(
      fields.map((field) => ({ ...field, ...link })),
      fields,
    );
    assert.equal(fields.length, 1);
    const back = traces.jsonData?.tracesToLogsV2;
    assert.equal(back?.datasourceUid, logs.uid);
    assert.match(back.query, /^\{service=~".+"\} \| trace_id="\$\$\{__trace\.traceId\}"$/);
  });
});
