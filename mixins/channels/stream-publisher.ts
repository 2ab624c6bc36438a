// Publishes to streams and resolves when the stream has stored the message. The client's own
// publish() makes an error with a stack and a timer for each message, two fifths of a relay's CPU;
// here the messages of one connection share one inbox and one timer.
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from "nats";
import { PlatformError } from "../../services/contracts/errors.ts";

interface Waiting {
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The part of JetStream's answer that is looked at. */
interface PublishAnswer {
  readonly stream?: string;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

export interface StreamPublisher {
  /** Rejects with SERVICE_UNAVAILABLE when there is no answer in time or no stream, with the
   * stream's own words when it refuses: whether it is stored is known only when this resolves. */
  publish(subject: string, data: string, headers: MsgHdrs): Promise<void>;
  /** Gives up on every answer still waited for. */
  abandon(): void;
}

export function createStreamPublisher(
  connection: NatsConnection,
  timeoutMs: number,
): StreamPublisher {
  return new SharedInboxPublisher(connection, timeoutMs);
}

class SharedInboxPublisher implements StreamPublisher {
  readonly #connection: NatsConnection;
  readonly #timeoutMs: number;
  readonly #inbox = createInbox();
  /** In the order of publishing, hence of deadlines. */
  readonly #waiting = new Map<string, Waiting>();
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: NatsConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, answer) => {
        if (error === null) this.#take(answer);
      },
    });
  }

  publish(subject: string, data: string, headers: MsgHdrs): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sequence += 1;
      const token = String(this.#sequence);
      this.#connection.publish(subject, data, { headers, reply: `${this.#inbox}.${token}` });
      this.#waiting.set(token, { deadline: performance.now() + this.#timeoutMs, resolve, reject });
      this.#timer ??= setTimeout(() => this.#expire(), this.#timeoutMs);
    });
  }

  abandon(): void {
    for (const { reject } of this.#waiting.values())
      reject(new PlatformError("SERVICE_UNAVAILABLE"));
    this.#waiting.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #take(answer: Msg): void {
    const token = answer.subject.slice(this.#inbox.length + 1);
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    this.#waiting.delete(token);
    const error = refusalOf(answer);
    if (error === undefined) waiting.resolve();
    else waiting.reject(error);
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [token, { deadline, reject }] of this.#waiting) {
      if (deadline > now) {
        this.#timer = setTimeout(() => this.#expire(), deadline - now);
        return;
      }
      this.#waiting.delete(token);
      reject(new PlatformError("SERVICE_UNAVAILABLE"));
    }
  }
}

function refusalOf(answer: Msg): Error | undefined {
  const status = answer.headers?.code ?? 0;
  if (status !== 0) return new PlatformError("SERVICE_UNAVAILABLE");
  const { stream, error } = answer.json<PublishAnswer>();
  if (error === undefined && stream !== undefined) return undefined;
  return new Error(`stream refused the message: ${error?.description ?? "unreadable answer"}`);
}
