// The files that the image has, and no others, run the platform; and they run it where nothing can be
// written but the folder for temporary files, as every container's root is read-only. Node's own permission
// model refuses each other write.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { inheritedEnvironment } from "../../scripts/launcher/node-process.ts";
import { Cluster, type ClusterNode } from "../support/cluster.ts";
import { copiesOf } from "../support/dockerfile.ts";
import { API, Shop, signedInAdmin } from "../support/shop.ts";
import { readRoot, ROOT } from "../support/source.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const run = promisify(execFile);
const RUN_TIMEOUT_MS = 60_000;

describe("the files of the image", function () {
  this.timeout(120_000);
  const app = tempFolder();
  const temporary = tempFolder();
  const confined = ["--permission", "--allow-fs-read=*", `--allow-fs-write=${temporary}/*`];
  const settings = {
    DATA_DIR: join(temporary, "data"),
    NODE_COMPILE_CACHE: join(temporary, "node-compile-cache"),
  };
  let cluster: Cluster;
  let node: ClusterNode;
  let metricsPort = "";

  /** Runs a program of the image as a container does. Rejects with its output unless it ends well. */
  const confinedRun = (args: readonly string[], env = {}): Promise<{ stdout: string }> =>
    run(process.execPath, [...confined, ...args], {
      cwd: app,
      timeout: RUN_TIMEOUT_MS,
      env: { ...inheritedEnvironment(), ...cluster.environment, ...settings, ...env },
    });

  before(async () => {
    for (const { sources, target } of copiesOf(readRoot("deploy/Dockerfile"))) {
      for (const source of sources) {
        const place = sources.length > 1 ? join(app, target, source) : join(app, target);
        mkdirSync(dirname(place), { recursive: true });
        cpSync(join(ROOT, source), place, { recursive: true });
      }
    }
    symlinkSync(join(ROOT, "node_modules"), join(app, "node_modules"));
    cluster = await Cluster.create();
    metricsPort = String(await findFreePort());
    node = await cluster.start({
      name: "image",
      services: "edge,core,worker",
      settings: { ...settings, METRICS_PORT: metricsPort },
      entry: { folder: app, args: [...confined, "services/main.ts"] },
    });
    await cluster.ready(node);
  });
  after(() => cluster.stop());

  it("migrate the schemas", async () => {
    await confinedRun(["migrations/migrate.ts"]);
  });

  it("sell, are paid, and show their documentation", async () => {
    const shop = new Shop({ url: node.url, admin: await signedInAdmin(node.url) });
    const buyer = await shop.customer();
    const { skuId } = await shop.product(3);
    await shop.paid(buyer, (await shop.placed(buyer, skuId)).id);
    const pages = ["/openapi.json", "/docs", "/docs/assets/swagger-ui.css", "/ops"];
    for (const page of pages) assert.equal((await fetch(node.url + page)).status, 200, page);
    assert.equal((await shop.visitor().get(`${API}/products`)).status, 200);
  });

  it("find themselves well, with the container's own check, and ill where nobody listens", async () => {
    const port = new URL(node.url).port;
    const check = "deploy/healthcheck.mjs";
    await confinedRun([check], { SERVICES: "edge", PORT: port });
    await confinedRun([check], { SERVICES: "core", METRICS_PORT: metricsPort });
    const nobody = { SERVICES: "edge", PORT: String(await findFreePort()) };
    await assert.rejects(confinedRun([check], nobody), { code: 1 });
  });

  it("would have been refused a write elsewhere, and left none", async () => {
    const write = 'require("node:fs").writeFileSync("written", "")';
    await assert.rejects(confinedRun(["-e", write]), /ERR_ACCESS_DENIED/);
    assert.ok(!readdirSync(app).includes("written"));
  });

  it("stop when they are told to", async () => {
    node.process.signal("SIGTERM");
    assert.equal((await node.process.waitForExit()).code, 0);
  });
});
