// A provider's callback on its way through the gateway: the bytes that were signed go on as they came.
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { ServiceBroker } from "moleculer";
import { ERROR_CATALOGUE, type ErrorSlug, PlatformError } from "../../services/contracts/errors.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { type ApiRequest, createApiHandler } from "../../services/gateway/api-handler.ts";
import { createClientAddress } from "../../services/gateway/client-address.ts";
import { sendError } from "../../services/gateway/http-errors.ts";
import { closeHttpServer, createHttpServer } from "../../services/gateway/http-server.ts";
import { ownActions } from "../../services/gateway/own-actions.ts";
import { publicRoutes } from "../../services/gateway/route-table.ts";
import { ANONYMOUS } from "../../services/gateway/authenticate.ts";
import { createShelf } from "../../services/gateway/shelf.ts";
import { silentLog } from "../support/database.ts";

const FORM = "application/x-www-form-urlencoded; charset=utf-8";
const PAYMENT_ID = "4611686018427387904";
const OFF = { name: "off", perSecond: 0 };

interface Received {
  readonly name: string;
  readonly params: { payment_id: string; headers: Record<string, string>; raw_body: string };
}

/** The gateway's own handler for the callback route, with whoever it calls in our hands. */
async function listen(answer: (received: Received) => Promise<null>) {
  const route = publicRoutes().find(({ action }) => action === "gateway.receiveCallback");
  assert.ok(route !== undefined);
  const handle = createApiHandler({
    authenticate: () => ANONYMOUS,
    addressOf: createClientAddress(""),
    shedding: { enter: () => () => undefined },
    limiter: { check: () => Promise.resolve(undefined) },
    limits: { user: OFF, ip: OFF, node: OFF },
    signatures: { check: () => Promise.resolve(), isRequired: () => false },
    rules: { isKnown: () => true },
    grey: { isOn: false, releaseOf: () => undefined },
    shelf: createShelf({ clock: systemClock, isDegraded: () => false }),
    compositions: {},
    fallbacks: {},
    noteAttempt: (_attempt, answering) => answering.then(() => undefined),
    own: ownActions({
      broker: new ServiceBroker({ logger: false }),
      clock: systemClock,
      log: silentLog,
    }),
  });
  const server = createHttpServer((request: IncomingMessage, response: ServerResponse) => {
    const $ctx = {
      meta: {},
      call: (name: string, params: unknown) => answer({ name, params } as Received),
    };
    const asked = Object.assign(request, { $ctx, query: {} }) as unknown as ApiRequest;
    handle(route, asked, response, { id: PAYMENT_ID }).catch((error: unknown) => {
      sendError(request, response, error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const send = (type: string, body: string, headers = {}) =>
    fetch(`http://127.0.0.1:${String(address.port)}/`, {
      method: "POST",
      headers: { "content-type": type, ...headers },
      body,
    });
  return { send, close: () => closeHttpServer(server) };
}

describe("a provider's callback", () => {
  let received: Received | undefined;
  let refusal: ErrorSlug | undefined;
  let gateway: Awaited<ReturnType<typeof listen>>;

  before(async () => {
    gateway = await listen((call) => {
      received = call;
      return refusal === undefined
        ? Promise.resolve(null)
        : Promise.reject(new PlatformError(refusal));
    });
  });
  after(() => gateway.close());
  beforeEach(() => {
    received = undefined;
    refusal = undefined;
  });

  it("as a form goes on byte for byte and is answered with the word Alipay waits for", async () => {
    const body = "b=%E4%BD%A0+x&a=1&a=2&sign=q%2Br%3D";
    const answer = await gateway.send(FORM, body);
    assert.deepEqual([answer.status, await answer.text()], [200, "success"]);
    assert.equal(answer.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(received?.name, "payment.receiveCallback");
    assert.equal(received.params.payment_id, PAYMENT_ID);
    assert.equal(Buffer.from(received.params.raw_body, "base64").toString(), body);
  });

  it("as a form that is refused is not told success", async () => {
    refusal = "WEBHOOK_SIGNATURE_INVALID";
    const answer = await gateway.send(FORM, "a=1");
    assert.equal(answer.status, ERROR_CATALOGUE[refusal].status);
    assert.doesNotMatch(await answer.text(), /success/);
  });

  it("as JSON goes on with its spaces and the headers a signature needs, and no others", async () => {
    const body = '{ "status" : "succeeded" }';
    const headers = { "webhook-id": "m1", cookie: "session=1", authorization: "Bearer x" };
    const answer = await gateway.send("application/json", body, headers);
    assert.deepEqual([answer.status, await answer.text()], [204, ""]);
    assert.equal(Buffer.from(received?.params.raw_body ?? "", "base64").toString(), body);
    assert.deepEqual(received?.params.headers, { "webhook-id": "m1" });
  });

  it("as anything else is refused before anybody is asked", async () => {
    assert.equal((await gateway.send("text/xml", "<a/>")).status, 415);
    assert.equal(received, undefined);
  });
});
