// Two releases of the product service side by side, as processes of their own, behind one gateway: who is
// served by which, told by the figures of the processes themselves.
import assert from "node:assert/strict";
import { createGreyRelease } from "../../services/gateway/grey-release.ts";
import type { ClusterNode } from "../support/cluster.ts";
import { Cluster } from "../support/cluster.ts";
import { HttpClient } from "../support/http-client.ts";
import { eventually } from "../support/eventually.ts";
import { parseSamples } from "../support/scrape.ts";
import { API, Shop, signedInAdmin } from "../support/shop.ts";
import { findFreePort } from "../../scripts/launcher/ports.ts";

const GREY = { VERSION: "1.0", GREY_VERSION: "2.0", GREY_PERCENT: "30" } as const;
const CUSTOMERS = 40;
const TIMEOUT_MS = 20_000;

describe("a grey release", function () {
  this.timeout(180_000);
  let cluster: Cluster;
  let shop: Shop;
  let grey: ClusterNode;
  let gateway: ClusterNode;
  const ports = { own: 0, grey: 0 };

  before(async () => {
    cluster = await Cluster.create();
    Object.assign(ports, { own: await findFreePort(), grey: await findFreePort() });
    await cluster.start({ name: "core", services: "core,user-worker", settings: GREY });
    gateway = await cluster.start({
      name: "edge",
      services: "gateway,seckill,product,inventory",
      settings: { ...GREY, METRICS_PORT: String(ports.own) },
    });
    grey = await cluster.start({
      name: "grey",
      services: "product",
      settings: { VERSION: "2.0", METRICS_PORT: String(ports.grey) },
    });
    await cluster.ready(gateway);
    shop = new Shop({ url: gateway.url, admin: await signedInAdmin(gateway.url) });
  });

  after(() => cluster.stop());

  /** Product reads that this process has carried out. */
  async function readsAt(port: number): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return parseSamples("node", text)
      .filter(({ name }) => name === "moleculer_req_total")
      .filter(({ labels }) => labels["action"] === "product.get")
      .reduce((sum, { value }) => sum + value, 0);
  }

  it("gets those who ask for it, and nobody who asks for the other", async () => {
    const { product } = await shop.product(1);
    const page = `${API}/products/${product.id}`;
    const visit = (release: string) =>
      shop.visitor().get(page, { headers: { "x-release": release } });
    await eventually(
      async () => {
        await visit("2.0");
        return (await readsAt(ports.grey)) > 0;
      },
      { timeoutMs: TIMEOUT_MS, what: "the gateway knows the grey node", intervalMs: 200 },
    );
    const before = { own: await readsAt(ports.own), grey: await readsAt(ports.grey) };
    for (let n = 0; n < 10; n += 1) {
      assert.equal((await visit("2.0")).headers["x-release"], "2.0");
    }
    await eventually(async () => (await readsAt(ports.grey)) === before.grey + 10, {
      timeoutMs: TIMEOUT_MS,
      what: "ten reads by the grey node",
    });
    for (let n = 0; n < 10; n += 1) {
      assert.equal((await visit("1.0")).headers["x-release"], "1.0");
    }
    assert.equal(await readsAt(ports.grey), before.grey + 10);
    assert.ok((await readsAt(ports.own)) >= before.own + 10);
  });

  it("gets its share of addresses, each always the same one, and counts both side by side", async () => {
    const { product } = await shop.product(1);
    const page = `${API}/products/${product.id}`;
    const seen: string[] = [];
    for (let n = 0; n < CUSTOMERS; n += 1) {
      const visitor = new HttpClient(gateway.url);
      const first = (await visitor.get(page)).headers["x-release"];
      const second = (await visitor.get(page)).headers["x-release"];
      assert.equal(first, second);
      seen.push(String(first));
    }
    assert.ok(seen.includes("1.0") && seen.includes("2.0"), seen.join(" "));
    const text = await (await fetch(`http://127.0.0.1:${ports.own}/metrics`)).text();
    const releases = parseSamples("edge", text)
      .filter(({ name }) => name === "app_release_requests_total")
      .map(({ labels }) => labels["release"]);
    assert.deepEqual([...new Set(releases)].sort(), ["1.0", "2.0"]);
  });

  it("is served by the others when its node is gone", async () => {
    const { product } = await shop.product(1);
    const page = `${API}/products/${product.id}`;
    await grey.process.stop();
    await eventually(
      async () => {
        const { status } = await shop.visitor().get(page, { headers: { "x-release": "2.0" } });
        return status === 200;
      },
      { timeoutMs: TIMEOUT_MS, what: "the page is served without the grey node" },
    );
  });

  it("has the share that was asked for, over many users", () => {
    const release = createGreyRelease({ ...GREY, GREY_PERCENT: 30, GREY_USERS: "7, 8" });
    const asking = { header: undefined, address: "10.0.0.1" };
    const users = Array.from({ length: 10_000 }, (_, n) => String(1_000_000 + n));
    const count = users.filter(
      (userId) => release.releaseOf({ ...asking, userId }) === "2.0",
    ).length;
    assert.ok(count > 2_700 && count < 3_300, String(count));
    assert.equal(release.releaseOf({ ...asking, userId: "8" }), "2.0");
    const off = createGreyRelease({ ...GREY, GREY_VERSION: "", GREY_PERCENT: 30, GREY_USERS: "" });
    assert.equal(off.releaseOf({ ...asking, userId: "8", header: "2.0" }), undefined);
  });
});
