import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";

const SOURCE_DIR = resolve(import.meta.dirname, "..", "..");
const RUN_TIMEOUT_MS = 20_000;

/** A package folder in which `npm ci` writes a line and does what the test says. */
interface Sandbox {
  dir: string;
  /** Lines of the npm calls so far. */
  calls: () => string[];
  run: () => { code: number | null; text: string };
}

function sandbox(npmBody: string): Sandbox {
  const dir = tempFolder();
  mkdirSync(join(dir, "scripts"));
  copyFileSync(join(SOURCE_DIR, "scripts/bootstrap.cjs"), join(dir, "scripts/bootstrap.cjs"));
  writeLock(dir, "1.0.0");
  const calls = join(dir, "calls.log");
  const npm = join(dir, "npm.cjs");
  writeFileSync(
    npm,
    `const fs = require("node:fs");
     fs.appendFileSync(${JSON.stringify(calls)}, process.argv.slice(2).join(" ") + "\\n");
     ${npmBody}`,
  );
  return {
    dir,
    calls: () => (existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : []),
    run: () => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(dir, "scripts/bootstrap.cjs")],
        { env: { ...process.env, npm_execpath: npm }, encoding: "utf8", timeout: RUN_TIMEOUT_MS },
      );
      return { code: status, text: stdout + stderr };
    },
  };
}

function writeLock(dir: string, version: string): void {
  const packages = {
    "": { name: "shop" },
    "node_modules/a": { version },
    "node_modules/only-elsewhere": { version: "1.0.0", optional: true, os: ["none"] },
  };
  writeFileSync(join(dir, "package-lock.json"), JSON.stringify({ packages }));
}

const INSTALL = 'fs.mkdirSync(__dirname + "/node_modules/.bin", { recursive: true });';

describe("bootstrap", () => {
  it("installs from the lockfile once and is quiet after that", () => {
    const { run, calls } = sandbox(INSTALL);
    const first = run();
    assert.equal(first.code, 0, first.text);
    assert.match(first.text, /dependencies {2}installed/);
    assert.deepEqual(run(), { code: 0, text: "" });
    assert.deepEqual(calls(), ["ci --ignore-scripts --no-audit --no-fund"]);
  });

  it("installs again when the lockfile changes", () => {
    const { dir, run, calls } = sandbox(INSTALL);
    run();
    writeLock(dir, "1.0.1");
    run();
    assert.equal(calls().length, 2);
  });

  it("leaves a tree alone that was installed by hand", () => {
    const { dir, run, calls } = sandbox(INSTALL);
    mkdirSync(join(dir, "node_modules"));
    const packages = { "node_modules/a": { version: "1.0.0" } };
    writeFileSync(join(dir, "node_modules/.package-lock.json"), JSON.stringify({ packages }));
    assert.equal(run().code, 0);
    assert.deepEqual(calls(), []);
  });

  it("tells a full disk apart from a registry that does not answer", () => {
    const full = sandbox('console.error("npm error code ENOSPC"); process.exit(1);').run();
    assert.equal(full.code, 1);
    assert.match(full.text, /Free some space/);
    const away = sandbox('console.error("npm error code EAI_AGAIN"); process.exit(1);').run();
    assert.equal(away.code, 1);
    assert.match(away.text, /registry does not answer/);
  });
});
