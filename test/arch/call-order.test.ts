// Calls go down the fixed order of services; upwards there are only events.
import assert from "node:assert/strict";
import { CALL_ORDER, CONTRACTS } from "../../services/contracts/actions.ts";
import type { ServiceContract } from "../../services/contracts/contract.ts";
import { type SourceFile, sourceFiles } from "../support/source.ts";

const CALLED = /\bcall\(\s*[\w.]+,\s*"([a-z]+)(?:-worker)?\.(\w+)"/g;

interface Call {
  readonly from: string;
  readonly to: string;
  readonly action: string;
  readonly path: string;
}

function callsOf({ path, text }: SourceFile): Call[] {
  const from = /^services\/([^/]+)\//.exec(path)?.[1] ?? "";
  return [...text.matchAll(CALLED)].map(([, to = "", action = ""]) => ({ from, to, action, path }));
}

function rank(service: string): number {
  return (CALL_ORDER as readonly string[]).indexOf(service);
}

function isUpward({ from, to }: Call): boolean {
  return from !== to && rank(from) >= rank(to);
}

describe("call order", () => {
  const calls = sourceFiles(["services"])
    .filter(({ path }) => !/^services\/(contracts|kernel|[^/]+\.ts)/.test(path))
    .flatMap(callsOf);

  it("finds the calls it is about", () => {
    assert.ok(calls.some(({ from, to }) => from === "order" && to === "inventory"));
  });

  it("has no call upwards", () => {
    assert.deepEqual(calls.filter(isUpward), []);
  });

  it("sees a planted call upwards", () => {
    const planted = { path: "services/product/x.ts", text: 'await call(ctx, "order.get", {})' };
    assert.equal(callsOf(planted).filter(isUpward).length, 1);
  });

  it("gives no route to an internal action", () => {
    const exposed = Object.entries(CONTRACTS).flatMap(([service, contract]) =>
      Object.entries(contract as ServiceContract)
        .filter(([, action]) => action.auth === "internal" && action.rest !== undefined)
        .map(([name]) => `${service}.${name}`),
    );
    assert.deepEqual(exposed, []);
  });
});
