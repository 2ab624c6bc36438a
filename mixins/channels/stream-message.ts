// One delivery of JetStream: its text and headers, how often it was delivered, and its four answers.
// An answer that cannot be sent is no error: the delivery comes again.
import { type Msg, nanos } from "nats";
import { assert } from "../../services/kernel/assert.ts";

const ACKNOWLEDGE = "+ACK";
const REFUSE = "-NAK";
const TERMINATE = "+TERM";
const IN_PROGRESS = "+WPI";

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<sequence>.…` */
const REPLY_TOKENS_PLAIN = 9;
const REPLY_TOKENS_DOMAIN_MIN = 11;

export interface StreamMessage {
  readonly stream: string;
  readonly sequence: number;
  /** 1 for the first delivery to this consumer; how far above says nothing reliable. */
  readonly deliveryCount: number;
  text(): string;
  /** Undefined when there is no such header. */
  header(name: string): string | undefined;
  /** Done. Only the first of ack, nak and term counts. */
  ack(): void;
  /** Not done: to be delivered again after `delayMs`. */
  nak(delayMs?: number): void;
  /** Never to be delivered again. */
  term(): void;
  /** Still in work: the time to settle starts anew. */
  working(): void;
}

export function streamMessage(message: Msg): StreamMessage {
  const tokens = (message.reply ?? "").split(".");
  assert(
    tokens.length === REPLY_TOKENS_PLAIN || tokens.length >= REPLY_TOKENS_DOMAIN_MIN,
    "a delivery carries a reply subject of JetStream",
  );
  const base = tokens.length === REPLY_TOKENS_PLAIN ? 2 : 4;
  let isSettled = false;
  const settle = (answer: string): void => {
    if (isSettled) return;
    isSettled = true;
    respond(message, answer);
  };
  return {
    stream: tokens[base] ?? "",
    deliveryCount: Number(tokens[base + 2]),
    sequence: Number(tokens[base + 3]),
    text: () => message.string(),
    header(name) {
      const value = message.headers?.get(name);
      return value === "" ? undefined : value;
    },
    ack: () => settle(ACKNOWLEDGE),
    nak: (delayMs = 0) =>
      settle(delayMs === 0 ? REFUSE : `${REFUSE} ${JSON.stringify({ delay: nanos(delayMs) })}`),
    term: () => settle(TERMINATE),
    working() {
      if (!isSettled) respond(message, IN_PROGRESS);
    },
  };
}

function respond(message: Msg, answer: string): void {
  try {
    message.respond(answer);
  } catch {
    // The connection is closed; the server delivers again when the time to settle is over.
  }
}
