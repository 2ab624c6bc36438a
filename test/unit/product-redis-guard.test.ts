import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Log } from "../../mixins/log.ts";
import { createRedisGuard } from "../../services/product/redis-guard.ts";

const quiet: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  fatal: () => undefined,
  child: () => quiet,
};

/** A client whose pings are answered by the test. */
function setup(status = "ready") {
  const pings: { answer: () => void; fail: () => void }[] = [];
  const ping = () =>
    new Promise((resolve, reject) => {
      pings.push({
        answer: () => {
          resolve("PONG");
        },
        fail: () => {
          reject(new Error("Command timed out"));
        },
      });
    });
  const client = { status, ping, disconnect: () => undefined };
  const guard = createRedisGuard(client as unknown as Redis, quiet);
  const fail = () => guard.attempt<string>(() => Promise.reject(new Error("Command timed out")));
  const answer = () => guard.attempt(() => Promise.resolve("answer"));
  return { guard, pings, fail, answer };
}

const turn = () => new Promise(setImmediate);

describe("the guard in front of Redis", () => {
  it("passes on what Redis answers", async () => {
    const { guard, answer } = setup();
    assert.equal(await answer(), "answer");
    guard.close();
  });

  it("skips Redis after one command without an answer", async () => {
    const { guard, pings, fail, answer } = setup();
    assert.equal(await fail(), undefined);
    assert.equal(await answer(), undefined);
    pings[0]!.fail();
    await turn();
    assert.equal(await answer(), undefined);
    guard.close();
  });

  it("uses Redis again as soon as a probe is answered, the first one being sent at once", async () => {
    const { guard, pings, fail, answer } = setup();
    await fail();
    assert.equal(pings.length, 1);
    pings[0]!.answer();
    await turn();
    assert.equal(await answer(), "answer");
    guard.close();
  });

  it("sends one probe however many commands fail together", async () => {
    const { guard, pings, fail } = setup();
    await Promise.all([fail(), fail(), fail()]);
    assert.equal(pings.length, 1);
    guard.close();
  });

  it("asks nothing of a client that is not connected", async () => {
    const { guard, answer } = setup("connecting");
    assert.equal(await answer(), undefined);
    guard.close();
  });
});
