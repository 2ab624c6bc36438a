// A script's header and its definition must agree; each way to disagree is planted.
import assert from "node:assert/strict";
import { checkHeader } from "../../lua/script.ts";

const TEXT = [
  "-- Does something.",
  "-- KEYS[1] stock string",
  "-- KEYS[2] users hash",
  "-- ARGV[1] quantity 1..99",
  "-- ARGV[2..] names strings",
  "-- Returns 1 done",
  "return 1",
].join("\n");

describe("the header of a Lua script", () => {
  it("is accepted when names and order agree", () => {
    checkHeader("x", TEXT, { keys: ["stock", "users"], args: ["quantity", "names..."] });
  });

  it("is refused when two keys change places", () => {
    assert.throws(
      () => checkHeader("x", TEXT, { keys: ["users", "stock"], args: ["quantity", "names..."] }),
      /lua\/x\.lua KEYS: the header has \[stock users\], the catalogue \[users stock\]/,
    );
  });

  it("is refused when an argument has another name", () => {
    assert.throws(
      () => checkHeader("x", TEXT, { keys: ["stock", "users"], args: ["amount", "names..."] }),
      /ARGV/,
    );
  });

  it("is refused when a rest is taken for one value", () => {
    assert.throws(
      () => checkHeader("x", TEXT, { keys: ["stock", "users"], args: ["quantity", "names"] }),
      /ARGV/,
    );
  });

  it("is refused when it does not say what is returned", () => {
    const silent = TEXT.replace("-- Returns 1 done\n", "");
    assert.throws(
      () => checkHeader("x", silent, { keys: ["stock", "users"], args: ["quantity", "names..."] }),
      /does not say what it returns/,
    );
  });
});
