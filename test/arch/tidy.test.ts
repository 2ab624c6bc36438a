// Style as tests: banned calls, sizes, headers. Each rule is seen to fail on a planted file.
import assert from "node:assert/strict";
import { PRODUCT_FOLDERS, type SourceFile, sourceFiles } from "../support/source.ts";

interface Rule {
  readonly name: string;
  /** The offending places of a file, as short texts. */
  readonly offences: (file: SourceFile) => readonly string[];
  /** A text that must offend. */
  readonly planted: string;
  readonly plantedPath?: string;
}

const SERVICE_LINES_MAX = 200;
const PAGE_OF_NAMES = /(^|\/)(utils?|common|helpers?|manager|misc)(\.|\/|-)/;

function matches(pattern: RegExp, except: (path: string) => boolean = () => false) {
  return (file: SourceFile): readonly string[] =>
    except(file.path)
      ? []
      : file.text.split("\n").filter((line) => pattern.test(line) && !/^\s*(\/\/|\*)/.test(line));
}

const RULES: readonly Rule[] = [
  {
    name: "reads the environment only in config/load.ts",
    offences: matches(/process\.env/, (path) => path === "config/load.ts"),
    planted: "const x = process.env.PORT;",
  },
  {
    name: "calls actions only through contracts/actions.ts",
    offences: matches(
      /\b(ctx|broker|node\.broker)\.(call|mcall|emit)\(/,
      (path) => path === "services/contracts/actions.ts",
    ),
    planted: 'await ctx.call("order.place", {});',
  },
  {
    name: "leaves no work for later in a comment",
    offences: (file) =>
      file.text.split("\n").filter((line) => /\b(TODO|FIXME|XXX|HACK)\b/.test(line)),
    planted: "// TODO: later",
  },
  {
    name: "never compares deadlines with Date.now()",
    offences: matches(/Date\.now\(\)/, (path) => path === "services/kernel/clock.ts"),
    planted: "if (Date.now() > deadline) cancel();",
  },
  {
    name: "draws randomness from a port",
    offences: matches(/Math\.random\(\)/),
    planted: "const jitter = Math.random();",
  },
  {
    name: "uses no SQL that only one of the two servers knows",
    offences: matches(/\bRETURNING\b|ON CONFLICT|innodb_|max_statement_time/, (path) =>
      path.startsWith("mixins/database/"),
    ),
    planted: 'sql("x", "INSERT INTO t VALUES (1) RETURNING id")',
  },
  {
    name: "names things by what they are",
    offences: (file) => (PAGE_OF_NAMES.test(file.path) ? [file.path] : []),
    planted: "export {};",
    plantedPath: "services/order/utils.ts",
  },
  {
    name: "opens every module with what it is for",
    offences: (file) => (file.text.startsWith("//") ? [] : [file.path]),
    planted: 'import x from "y";',
  },
  {
    name: "keeps service files thin",
    offences: (file) =>
      /\.service\.ts$/.test(file.path) && file.text.split("\n").length > SERVICE_LINES_MAX
        ? [`${file.path} has ${String(file.text.split("\n").length)} lines`]
        : [],
    planted: "//\n".repeat(SERVICE_LINES_MAX + 1),
    plantedPath: "services/order/order.service.ts",
  },
  {
    name: "selects no wildcard columns",
    offences: matches(/SELECT\s+\*/i),
    planted: 'sql("x", "SELECT * FROM orders")',
  },
];

describe("tidy", () => {
  const files = sourceFiles(PRODUCT_FOLDERS);

  for (const rule of RULES) {
    it(rule.name, () => {
      const found = files.flatMap((file) =>
        rule.offences(file).map((line) => `${file.path}: ${line.trim()}`),
      );
      assert.deepEqual(found, []);
    });

    it(`${rule.name}: a planted fault is seen`, () => {
      const path = rule.plantedPath ?? "services/order/planted.ts";
      assert.notDeepEqual(rule.offences({ path, text: rule.planted }), []);
    });
  }
});
