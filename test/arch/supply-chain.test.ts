// What is installed is what was reviewed: fixed versions, fixed contents, from the registry alone,
// and nothing of it runs while it is being installed.
import assert from "node:assert/strict";
import { readRoot } from "../support/source.ts";

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, Locked>>;
}

const GROUPS = ["dependencies", "devDependencies", "optionalDependencies"] as const;
const EXACT = /^\d+\.\d+\.\d+$/;
const DIRECT_DEPENDENCIES_MAX = 25;
/** They would like to: one prints a message, one reports the installation to its maker. */
const WITH_INSTALL_SCRIPT = ["node_modules/@scarf/scarf", "node_modules/es5-ext"];

const lockfile = JSON.parse(readRoot("package-lock.json")) as Lockfile;
const manifest = JSON.parse(readRoot("package.json")) as Locked;

/** What is wrong with the packages of a lockfile. */
function faultsOf({ packages }: Lockfile): readonly string[] {
  return Object.entries(packages).flatMap(([path, { integrity, resolved, link, version }]) => {
    if (path === "") return [];
    const faults: string[] = [];
    if (link === true || version === undefined) faults.push(`${path} is not a package`);
    if (!/^sha512-/.test(integrity ?? "")) faults.push(`${path} has no sha512`);
    if (resolved !== undefined && !/^https:\/\/[^/]+\/.+\.tgz$/.test(resolved)) {
      faults.push(`${path} comes from ${resolved}`);
    }
    return faults;
  });
}

describe("OPS2 the supply chain", () => {
  it("has an exact version of every direct dependency, the same in the lockfile", () => {
    const root = lockfile.packages[""];
    for (const group of GROUPS) {
      const wanted = manifest[group] ?? {};
      assert.deepEqual(root?.[group], wanted);
      for (const [name, version] of Object.entries(wanted)) {
        assert.match(version, EXACT, name);
        assert.equal(lockfile.packages[`node_modules/${name}`]?.version, version, name);
      }
    }
  });

  it("fixes the contents of every package, from the registry alone", () => {
    assert.equal(lockfile.lockfileVersion, 3);
    assert.deepEqual(faultsOf(lockfile), []);
  });

  it("sees a package from elsewhere, without contents, or linked", () => {
    const packages: Record<string, Locked> = {
      "node_modules/a": { version: "1.0.0", integrity: "sha1-AA" },
      "node_modules/b": {
        version: "1.0.0",
        integrity: "sha512-AA",
        resolved: "git+ssh://git@example.test/b.git",
      },
      "node_modules/c": { link: true, integrity: "sha512-AA" },
    };
    assert.equal(faultsOf({ lockfileVersion: 3, packages }).length, 3);
  });

  it("knows every package that would run something when it is installed, and lets none", () => {
    const found = Object.entries(lockfile.packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([path]) => path);
    assert.deepEqual(found, WITH_INSTALL_SCRIPT);
    const bootstrap = readRoot("scripts/bootstrap.cjs");
    assert.match(bootstrap, /"ci", "--ignore-scripts"/);
    assert.match(readRoot("deploy/Dockerfile"), /npm ci .*--ignore-scripts/);
  });

  it("stays small", () => {
    const direct = Object.keys(manifest.dependencies ?? {});
    assert.ok(direct.length <= DIRECT_DEPENDENCIES_MAX, direct.join(", "));
  });
});
