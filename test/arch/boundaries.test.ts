// The import rules hold, and each of them fails on a planted violation.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "../support/source.ts";

/** A file that breaks exactly one rule. */
const PLANTED: Readonly<Record<string, { path: string; text: string }>> = {
  "domain-is-pure": {
    path: "services/order/domain/planted.ts",
    text: 'import { readFileSync } from "node:fs";\nexport const x = readFileSync;\n',
  },
  "kernel-knows-nobody": {
    path: "services/kernel/planted.ts",
    text: 'import { ROLES } from "../../config/roles.ts";\nexport const x = ROLES;\n',
  },
  "contracts-know-only-kernel": {
    path: "services/contracts/planted.ts",
    text: 'import { ROLES } from "../../config/roles.ts";\nexport const x = ROLES;\n',
  },
  "no-service-to-service": {
    path: "services/order/planted.ts",
    text: 'import { BODY_BYTES_MAX } from "../gateway/limits.ts";\nexport const x = BODY_BYTES_MAX;\n',
  },
  "mixins-know-no-service": {
    path: "mixins/planted.ts",
    text: 'import { BODY_BYTES_MAX } from "../services/gateway/limits.ts";\nexport const x = BODY_BYTES_MAX;\n',
  },
  "migrations-stand-alone": {
    path: "migrations/order/planted.ts",
    text: 'import { ROLES } from "../../config/roles.ts";\nexport const x = ROLES;\n',
  },
  "sequelize-in-few-places": {
    path: "services/order/planted.ts",
    text: 'import { Sequelize } from "sequelize";\nexport const x = Sequelize;\n',
  },
  "production-not-to-test": {
    path: "services/order/planted.ts",
    text: 'import { ROOT } from "../../test/support/source.ts";\nexport const x = ROOT;\n',
  },
  "no-circular": {
    path: "services/order/planted.ts",
    text: 'export { x } from "./planted.ts";\n',
  },
};

const COPIED = ["services", "mixins", "lua", "config", "migrations", "test/support"] as const;
const CHECKED = ["services", "mixins", "lua", "config", "migrations"] as const;

interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
}

function violations(folder: string): Promise<readonly Violation[]> {
  const program = join(ROOT, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const options = ["--config", ".dependency-cruiser.cjs", "--output-type", "json"];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [program, ...CHECKED, ...options],
      { cwd: folder, maxBuffer: 256 * 1024 * 1024 },
      (error, stdout) => {
        if (stdout === "") reject(error ?? new Error("no report"));
        else
          resolve(
            (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations,
          );
      },
    );
  });
}

describe("boundaries", () => {
  it("sees a planted violation of every rule", async function () {
    this.timeout(60_000);
    const folder = await mkdtemp(join(tmpdir(), "boundaries-"));
    try {
      for (const name of COPIED)
        await cp(join(ROOT, name), join(folder, name), { recursive: true });
      for (const file of [
        ".dependency-cruiser.cjs",
        "moleculer.config.ts",
        "tsconfig.json",
        "package.json",
      ]) {
        await cp(join(ROOT, file), join(folder, file));
      }
      await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
      const planted = Object.entries(PLANTED).map(([rule, { path, text }]) => {
        const own = path.replace("planted", `planted-${rule}`);
        return { rule, path: own, text: text.replace("./planted.ts", `./planted-${rule}.ts`) };
      });
      for (const { path, text } of planted) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
      }
      const found = await violations(folder);
      const caught = planted.filter(({ rule, path }) =>
        found.some((violation) => violation.rule.name === rule && violation.from === path),
      );
      assert.deepEqual(
        caught.map(({ rule }) => rule),
        planted.map(({ rule }) => rule),
      );
      const honest = found.filter(({ from }) => !from.includes("planted-"));
      assert.deepEqual(
        honest.map(({ from, rule }) => `${rule.name}: ${from}`),
        [],
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
