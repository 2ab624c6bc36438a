// A body that never comes: whoever waits for it must learn that it does not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { isPlatformError } from "../../services/contracts/errors.ts";
import { readBody } from "../../services/gateway/body.ts";

const HEAD =
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n";

describe("the body of a client who hangs up", () => {
  let server: Server;

  beforeEach(async () => {
    server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterEach(() => server.close());

  async function send(text: string) {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.write(text);
    const [request] = (await once(server, "request")) as [IncomingMessage];
    return { socket, request };
  }

  const isMalformed = (error: unknown): boolean => isPlatformError(error, "REQUEST_MALFORMED");

  it("is refused while it is waited for", async () => {
    const { socket, request } = await send(HEAD);
    const body = readBody(request);
    socket.destroy();
    await assert.rejects(body, isMalformed);
  });

  it("is refused when it is asked for afterwards, as after a look at the limits", async () => {
    const { socket, request } = await send(HEAD);
    socket.destroy();
    await new Promise((resolve) => request.on("close", resolve));
    await assert.rejects(readBody(request), isMalformed);
  });

  it("is read when it came before he did", async () => {
    const { socket, request } = await send(`${HEAD}{}`);
    const { value } = await readBody(request);
    socket.destroy();
    assert.deepEqual(value, {});
  });
});
