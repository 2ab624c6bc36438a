// Who may do what, as a table that is checked in: every operation of the API's document, asked for
// by everybody there is, answers what authorisation.json says.
import assert from "node:assert/strict";
import { type Actor, ACTORS, assembleCast, type Cast } from "../support/attack/actors.ts";
import { type Attempt, OPERATIONS, type Scene, setScene } from "../support/attack/operations.ts";
import { eventually } from "../support/eventually.ts";
import type { Answer } from "../support/http-client.ts";
import { API, openShop, type Shop } from "../support/shop.ts";
import { AUTHORISATION } from "../support/attack/authorisation.ts";

const ANSWER_TIMEOUT_MS = 30_000;

describe("authorisation", function () {
  this.timeout(180_000);
  let shop: Shop;
  let cast: Cast;
  let scene: Scene;

  before(async () => {
    shop = await openShop();
    cast = await assembleCast(shop);
    scene = await setScene(shop, cast.owner);
  });
  after(() => shop.expectInvariants());

  for (const [operation, expected] of Object.entries(AUTHORISATION)) {
    it(operation, async () => {
      const answered: number[] = [];
      for (const actor of ACTORS) {
        const answer = await ask(operation, actor);
        answered.push(answer.status);
        checkRefusal(operation, actor, answer);
      }
      assert.deepEqual(byActor(answered), byActor(expected));
    });
  }

  async function ask(operation: string, actor: Actor): Promise<Answer> {
    const [method = ""] = operation.split(" ");
    const attempt = await OPERATIONS[operation]?.(scene, actor);
    assert.ok(attempt !== undefined, `no request is known for ${operation}`);
    const token = attempt.token ?? cast.tokens[actor];
    // The actors together act faster than one user may, and than a busy machine can.
    return await eventually(
      async () => {
        const answer = await sendOnce(method, attempt, token);
        return [429, 503].includes(answer.status) ? undefined : answer;
      },
      { timeoutMs: ANSWER_TIMEOUT_MS, intervalMs: 200, what: `${operation} is let in` },
    );
  }

  async function sendOnce(
    method: string,
    { path, isStream = false, ...options }: Attempt,
    token: string | undefined,
  ): Promise<Answer> {
    if (!isStream) return await shop.visitor().send(method, API + path, { ...options, token });
    const ended = new AbortController();
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(shop.url + API + path, {
      headers: authorization,
      signal: ended.signal,
    });
    const body = (response.ok ? {} : await response.json()) as Answer["body"];
    ended.abort();
    const headers = Object.fromEntries(response.headers);
    return { status: response.status, headers, body, data: undefined };
  }
});

/** A refusal says how to come in, and nothing of whether there is something to be had. */
function checkRefusal(operation: string, actor: Actor, { status, headers, body }: Answer): void {
  const what = `${operation} by ${actor}: ${JSON.stringify(body)}`;
  if (status === 401 && actor === "anonymous") {
    assert.match(body.error ?? "", /^AUTH_/, what);
    assert.match(String(headers["www-authenticate"]), /^Bearer /, what);
  }
  if (status === 403) assert.equal(body.error, "FORBIDDEN", what);
  if (status === 404) assert.match(body.error ?? "", /_NOT_FOUND$/, what);
}

function byActor(statuses: readonly number[]): Record<string, number | undefined> {
  return Object.fromEntries(ACTORS.map((actor, index) => [actor, statuses[index]]));
}
