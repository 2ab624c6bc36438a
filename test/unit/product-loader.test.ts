import assert from "node:assert/strict";
import { isPlatformError } from "../../services/contracts/errors.ts";
import type { Product } from "../../services/contracts/product.ts";
import {
  createProductLoader,
  IDS_PER_READ_MAX,
  READS_AT_ONCE_MAX,
  WAITING_IDS_MAX,
} from "../../services/product/product-loader.ts";

const product = (id: string): Product => ({ id }) as Product;

/** A database whose reads end when the test says so. */
function setup() {
  const reads: { ids: readonly string[]; answer: () => void; fail: (error: Error) => void }[] = [];
  const loader = createProductLoader({
    find: (ids) =>
      new Promise((resolve, reject) => {
        reads.push({
          ids,
          answer: () => resolve(ids.filter((id) => id !== "404").map(product)),
          fail: reject,
        });
      }),
  });
  return { loader, reads };
}

const turn = () => new Promise(setImmediate);

describe("loading products", () => {
  it("reads what is asked for in one moment together", async () => {
    const { loader, reads } = setup();
    const found = Promise.all(["1", "2", "3"].map((id) => loader.find([id])));
    await turn();
    assert.deepEqual(
      reads.map(({ ids }) => ids),
      [["1", "2", "3"]],
    );
    reads[0]!.answer();
    assert.deepEqual(await found, [[product("1")], [product("2")], [product("3")]]);
  });

  it("never has more reads under way than allowed, and gathers what comes meanwhile", async () => {
    const { loader, reads } = setup();
    const found: Promise<Product[]>[] = [];
    for (let id = 1; id <= 10; id += 1) {
      found.push(loader.find([String(id)]));
      await turn();
    }
    assert.equal(reads.length, READS_AT_ONCE_MAX);
    reads[0]!.answer();
    await turn();
    assert.equal(reads[READS_AT_ONCE_MAX]!.ids.length, 10 - READS_AT_ONCE_MAX);
    for (const read of reads) read.answer();
    assert.equal((await Promise.all(found)).flat().length, 10);
  });

  it("leaves out what does not exist, and asks once for an id that is named twice", async () => {
    const { loader, reads } = setup();
    const found = loader.find(["1", "404", "1"]);
    await turn();
    assert.deepEqual(reads[0]!.ids, ["1", "404"]);
    reads[0]!.answer();
    assert.deepEqual(await found, [product("1"), product("1")]);
  });

  it("takes no more ids into one statement than allowed", async () => {
    const { loader, reads } = setup();
    const ids = Array.from({ length: IDS_PER_READ_MAX + 1 }, (_, at) => String(at + 1_000));
    const found = loader.find(ids);
    await turn();
    for (const read of reads) read.answer();
    assert.equal((await found).length, ids.length);
    assert.deepEqual(
      reads.map((read) => read.ids.length),
      [IDS_PER_READ_MAX, 1],
    );
  });

  it("fails those who waited for a failed read, and serves the next", async () => {
    const { loader, reads } = setup();
    const failed = assert.rejects(loader.find(["1"]), /away/);
    await turn();
    reads[0]!.fail(new Error("away"));
    await failed;
    const found = loader.find(["1"]);
    await turn();
    reads[1]!.answer();
    assert.equal((await found).length, 1);
  });

  it("refuses more waiting ids than it could ever answer in time", async () => {
    const { loader } = setup();
    const ids = Array.from({ length: WAITING_IDS_MAX }, (_, at) => String(at));
    void loader.find(ids);
    await assert.rejects(loader.find(["x"]), (error) => isPlatformError(error, "OVERLOADED"));
  });
});
