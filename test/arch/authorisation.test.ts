// Nobody adds an operation without saying who may use it.
import assert from "node:assert/strict";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import { ACTORS } from "../support/attack/actors.ts";
import { AUTHORISATION, NAMED_ACTORS } from "../support/attack/authorisation.ts";
import { OPERATIONS } from "../support/attack/operations.ts";

const operations = publicRoutes().map(({ rest }) => `${rest.method} ${placeholders(rest.path)}`);

function placeholders(path: string): string {
  return path.replaceAll(/:([a-z_]+)/g, "{$1}");
}

function differences(rows: readonly string[]): readonly string[] {
  return [
    ...operations.filter((one) => !rows.includes(one)).map((one) => `${one} has no row`),
    ...rows.filter((one) => !operations.includes(one)).map((one) => `${one} does not exist`),
  ];
}

describe("the table of who may do what", () => {
  it("has a row for every operation, and no other", () => {
    assert.deepEqual(differences(Object.keys(AUTHORISATION)), []);
  });

  it("has a status for everybody in every row", () => {
    assert.deepEqual(NAMED_ACTORS, ACTORS);
    for (const [operation, statuses] of Object.entries(AUTHORISATION)) {
      assert.equal(statuses.length, ACTORS.length, operation);
    }
  });

  it("is asked by a request for every operation", () => {
    assert.deepEqual(differences(Object.keys(OPERATIONS)), []);
  });

  it("is missed when it is incomplete", () => {
    const [first = "", ...others] = Object.keys(AUTHORISATION);
    assert.deepEqual(differences([...others, "GET /nothing"]), [
      `${first} has no row`,
      "GET /nothing does not exist",
    ]);
  });

  it("lets nobody but admins and the public in where a contract says so", () => {
    for (const { contract, rest } of publicRoutes()) {
      const row = AUTHORISATION[`${rest.method} ${placeholders(rest.path)}`] ?? [];
      const of = (actor: (typeof ACTORS)[number]): number | undefined => row[ACTORS.indexOf(actor)];
      const what = `${rest.method} ${rest.path}`;
      if (contract.auth === "admin") assert.deepEqual([of("owner"), of("other")], [403, 403], what);
      if (contract.auth === "public") assert.equal(new Set(row).size, 1, what);
      else assert.deepEqual([of("expired"), of("revoked"), of("wrong_audience")], [401, 401, 401]);
      if (contract.auth === "customer") assert.equal(of("anonymous"), 401, what);
    }
  });
});
