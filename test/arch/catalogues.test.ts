// No dead rows in a catalogue, no two errors with one number, settings in step with their documents.
import assert from "node:assert/strict";
import { SETTINGS, type SettingName } from "../../config/schema.ts";
import { ERROR_CATALOGUE, errorCode, type ErrorSlug } from "../../services/contracts/errors.ts";
import { EVENT_CATALOGUE } from "../../services/contracts/events.ts";
import { PRODUCT_FOLDERS, readRoot, sourceFiles } from "../support/source.ts";

const source = sourceFiles(PRODUCT_FOLDERS)
  .filter(({ path }) => !path.startsWith("services/contracts/e"))
  .map(({ text }) => text)
  .join("\n");

function unused(names: readonly string[], text: string): readonly string[] {
  return names.filter((name) => !text.includes(`"${name}"`));
}

/** Settings that a document does not mention, and names it mentions that are none. */
function settingsOutOfStep(documented: readonly string[]): readonly string[] {
  const known = Object.keys(SETTINGS.properties);
  return [
    ...known.filter((name) => !documented.includes(name)).map((name) => `missing ${name}`),
    ...documented.filter((name) => !known.includes(name)).map((name) => `unknown ${name}`),
  ];
}

describe("catalogues", () => {
  it("uses every error", () => {
    assert.deepEqual(unused(Object.keys(ERROR_CATALOGUE), source), []);
  });

  it("uses every event", () => {
    assert.deepEqual(unused(Object.keys(EVENT_CATALOGUE), source), []);
  });

  it("sees a dead row", () => {
    assert.deepEqual(unused(["ORDER_NOT_FOUND", "NOBODY_THROWS_THIS"], source), [
      "NOBODY_THROWS_THIS",
    ]);
  });

  it("gives every error its own number", () => {
    const codes = (Object.keys(ERROR_CATALOGUE) as ErrorSlug[]).map(errorCode);
    assert.equal(new Set(codes).size, codes.length);
    assert.ok(codes.every((code) => code % 100 >= 1));
  });

  it("documents every error in docs/errors.md as it is", () => {
    const document = readRoot("docs/errors.md");
    const rows = (Object.keys(ERROR_CATALOGUE) as ErrorSlug[]).map(
      (slug) =>
        `| ${String(errorCode(slug))} | \`${slug}\` | ${ERROR_CATALOGUE[slug].retryable ? "yes" : "no"} | ${ERROR_CATALOGUE[slug].message} |`,
    );
    assert.deepEqual(
      document.split("\n").filter((line) => /^\| \d/.test(line)),
      rows,
    );
  });

  it("keeps .env.example in step with the settings", () => {
    const names = [...readRoot(".env.example").matchAll(/^#? ?([A-Z][A-Z0-9_]+)=/gm)];
    assert.deepEqual(settingsOutOfStep(names.map(([, name = ""]) => name)), []);
  });

  it("keeps the README's table in step with the settings", () => {
    const names = [...readRoot("README.md").matchAll(/^\| `([A-Z][A-Z0-9_]+)` \|/gm)];
    assert.deepEqual(settingsOutOfStep(names.map(([, name = ""]) => name)), []);
  });

  it("sees a setting that a document lacks or invents", () => {
    const names = Object.keys(SETTINGS.properties) as SettingName[];
    assert.deepEqual(settingsOutOfStep([...names.slice(1), "NO_SUCH"]), [
      `missing ${names[0] ?? ""}`,
      "unknown NO_SUCH",
    ]);
  });
});
