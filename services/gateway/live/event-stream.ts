// One Server-Sent Events connection (WHATWG HTML §9.2). What is sent is state, not history: a client that
// reconnects gets the present state first and has missed nothing.
import type { ServerResponse } from "node:http";
import { requestIdOf } from "../http-errors.ts";

/** A client reconnects this long after its connection was lost. */
const RETRY_MS = 2_000;
/** Proxies and browsers drop connections that say nothing. */
const HEARTBEAT_INTERVAL_MS = 15_000;
/** A client that reads more slowly than this many bytes behind is dropped; it may come back. */
const BACKLOG_BYTES_MAX = 64 * 1024;

export interface EventStream {
  /** Sends one event; the default event when `name` is empty. Nothing when it is what it was. */
  send(name: string, data: object): void;
  /** Ends it from this side. */
  end(): void;
}

/** Takes the response over; its head must not have been sent. `onEnd` is called once. */
export function openEventStream(response: ServerResponse, onEnd: () => void): EventStream {
  const last = new Map<string, string>();
  response.writeHead(200, {
    "Content-Type": "text/event-stream; charset=utf-8",
    "X-Accel-Buffering": "no",
    "X-Request-Id": requestIdOf(response) ?? "",
  });
  response.write(`retry: ${RETRY_MS}\n\n`);
  const heartbeat = setInterval(() => {
    write(response, ": alive\n\n");
  }, HEARTBEAT_INTERVAL_MS);
  response.once("close", () => {
    clearInterval(heartbeat);
    onEnd();
  });
  return {
    send(name, data) {
      const text = JSON.stringify(data);
      if (last.get(name) === text) return;
      last.set(name, text);
      write(response, `${name === "" ? "" : `event: ${name}\n`}data: ${text}\n\n`);
    },
    end: () => void response.end(),
  };
}

function write(response: ServerResponse, text: string): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.writableLength > BACKLOG_BYTES_MAX) response.destroy();
  else response.write(text);
}
